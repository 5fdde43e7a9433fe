"""The predictor: what it refuses to load, what it answers, and its reasons."""

import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from contracts.reasons import REASON_WORDS
from models.artefacts.card import CARD_FILE, MODEL_FILE, ArtefactError, write_artefact
from models.next_action.actions import TARGETS
from models.next_action.card import NextActionCard
from models.next_action.encoding import encode_actions, stack
from models.next_action.features import CONTEXT_FEATURES
from models.next_action.predictor import Predictor, load, load_shipped
from models.next_action.prices import UNKNOWN_LEVEL
from models.next_action.rates import RATE_FEATURES
from models.next_action.reasons import REASON_CODES, REASON_FEATURES, describe
from ops.cli import app
from shoppers import make_action
from small_training import IDLE_MS, small_cases, small_training

pytestmark = pytest.mark.slow

SHIPPED = Path(str(files("models.next_action") / "artefact"))
MOST_BYTES = 1_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trained = small_training()
    write_artefact(tmp_path, trained.model, trained.card)
    return tmp_path


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    trained = small_training()
    return Predictor(trained.model, trained.card)


@pytest.fixture(scope="module")
def shipped() -> Predictor:
    return load_shipped()


def rewrite(folder: Path, **changes: object) -> None:
    """Change the card and seal it again, as one does who means it."""
    card = replace(small_training().card, **changes).sealed()  # type: ignore[arg-type]  # names of fields
    (folder / CARD_FILE).write_bytes(card.encode())


def test_probabilities_are_distributions(predictor: Predictor) -> None:
    found = predictor.predict(*small_cases().batch(np.arange(200)))
    assert found.probabilities.shape == (200, len(TARGETS))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert ((found.purchase > 0) & (found.purchase < 1)).all()


def test_a_case_alone_gets_what_it_gets_in_a_batch(predictor: Predictor) -> None:
    together = predictor.predict(*small_cases().batch(np.arange(100)))
    for i in range(100):
        alone = predictor.predict(*small_cases().batch(np.array([i])))
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[i], atol=1e-5)
        np.testing.assert_allclose(alone.purchase[0], together.purchase[i], atol=1e-5)


def test_a_model_with_a_changed_byte_is_refused(folder: Path) -> None:
    model = bytearray((folder / MODEL_FILE).read_bytes())
    model[len(model) // 2] ^= 1
    (folder / MODEL_FILE).write_bytes(model)
    with pytest.raises(ArtefactError, match="the SHA-256 differs"):
        load(folder)


def test_a_card_with_a_changed_number_is_refused(folder: Path) -> None:
    plain = orjson.loads((folder / CARD_FILE).read_bytes())
    plain["surrogate"]["weight"][0] += 1.0
    (folder / CARD_FILE).write_bytes(orjson.dumps(plain))
    with pytest.raises(ArtefactError, match="was changed: its version should be"):
        load(folder)


def test_a_model_for_other_features_is_refused(folder: Path) -> None:
    rewrite(folder, context_features=(*CONTEXT_FEATURES[:-1], "moon"))
    with pytest.raises(ArtefactError, match=r"context features .* unknown \['moon'\]"):
        load(folder)


def test_a_model_for_another_order_of_features_is_refused(folder: Path) -> None:
    rewrite(folder, context_features=CONTEXT_FEATURES[::-1])
    with pytest.raises(ArtefactError, match="another order"):
        load(folder)


def test_a_model_that_does_not_give_its_golden_outputs_is_refused(folder: Path) -> None:
    golden = small_training().card.golden
    rewrite(folder, golden=replace(golden, purchase=[1.0 - p for p in golden.purchase]))
    with pytest.raises(ArtefactError, match="golden outputs differ: purchase by"):
        load(folder)


def test_golden_outputs_may_differ_within_their_tolerance(folder: Path) -> None:
    golden = small_training().card.golden
    rewrite(folder, golden=replace(golden, purchase=[p + golden.tolerance / 2 for p in golden.purchase]))
    assert load(folder).version != small_training().card.version


def test_golden_outputs_that_are_no_numbers_are_refused(folder: Path) -> None:
    golden = small_training().card.golden
    broken = Predictor.__new__(Predictor)
    broken.card = replace(small_training().card, golden=replace(golden, tolerance=float("nan")))
    broken._session = load(folder)._session
    with pytest.raises(ArtefactError, match="golden outputs differ"):
        broken._check_golden()


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(ArtefactError, match="cannot be run"):
        Predictor(b"no model", small_training().card)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"format": 9}', "another format"),
        (b"{}", "is damaged"),
    ],
)
def test_a_damaged_card_is_refused(content: bytes, words: str, folder: Path) -> None:
    (folder / CARD_FILE).write_bytes(content)
    with pytest.raises(ArtefactError, match=words):
        load(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"has no readable model\.onnx and card\.json"):
        load(tmp_path)


def test_predicting_needs_neither_torch_nor_polars() -> None:
    program = "import sys, models.next_action.predictor; print(*{'torch', 'polars'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == ""


def test_every_context_feature_has_one_reason_and_every_reason_words() -> None:
    behind = [name for names in REASON_FEATURES.values() for name in names]
    assert sorted(behind) == sorted((*CONTEXT_FEATURES, *RATE_FEATURES))
    assert REASON_WORDS.keys() == set(REASON_CODES)


def test_reasons_come_strongest_first(predictor: Predictor) -> None:
    context = small_cases().context[:50]
    for reasons in predictor.reasons(context):
        effects = [abs(reason.effect) for reason in reasons]
        assert len({reason.code for reason in reasons}) == 3
        assert effects == sorted(effects, reverse=True)


def test_all_reasons_together_are_the_surrogate_and_close_to_the_model(predictor: Predictor) -> None:
    cases = small_cases()
    everything = np.arange(len(cases))
    purchase = predictor.predict(*cases.batch(everything)).purchase.astype(np.float64)
    logits = np.log(purchase / (1.0 - purchase))
    sums = [sum(r.effect for r in row) for row in predictor.reasons(cases.context, len(REASON_CODES))]
    guessed = np.array(sums) + predictor.card.surrogate.intercept
    explained = 1.0 - np.square(logits - guessed).sum() / np.square(logits - logits.mean()).sum()
    assert predictor.card.surrogate.fidelity > 0.7
    assert explained > 0.7


def test_every_reason_can_be_said_of_every_case() -> None:
    for row in small_cases().context[::10].tolist():
        for code in REASON_CODES:
            assert "nan" not in describe(code, row)


def test_reasons_are_said_with_the_visitors_numbers() -> None:
    actions = [
        make_action("view", 0, "a"),
        make_action("view", 60, "b"),
        make_action("cart", 90, "b"),
        make_action("view", 630, "a"),
    ]
    _, _, (context,) = stack([encode_actions(actions, UNKNOWN_LEVEL, IDLE_MS)])
    said = {code: describe(code, context.tolist()) for code in REASON_CODES}
    assert said["pause"] == "no action for 9 minutes before the last action"
    assert said["activity"] == "4 actions on 2 products in 10 minutes"
    assert said["cart"] == "1 product in the cart"
    assert said["cart_age"] == "last added to the cart 9 minutes ago"
    assert said["same_product"] == "2 actions on the same product"
    assert said["history"] == "first visit"


def test_the_shipped_model_loads_is_small_and_learnt_from_simulated_shops_only(shipped: Predictor) -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < MOST_BYTES
    assert all(name.startswith("simulated ") for name in shipped.card.training["shops"])
    assert "simulated events only" in shipped.card.licence
    assert shipped.card.config["net"]["kind"] == "cnn_bigru"
    assert not shipped.reads_ids
    assert shipped.card.encode() == (SHIPPED / CARD_FILE).read_bytes()


def test_the_shipped_model_expects_a_purchase_sooner_with_a_cart_than_without(shipped: Predictor) -> None:
    without = [make_action("view", 60 * i, f"p{i}") for i in range(3)]
    given = [without, [*without, make_action("cart", 200, "p2")]]
    batch = stack([encode_actions(actions, UNKNOWN_LEVEL, IDLE_MS) for actions in given])
    less, more = shipped.predict(*batch).purchase
    assert more > 2 * less


def test_the_predict_command_answers_in_a_table_and_in_json() -> None:
    table = CliRunner().invoke(app, ["predict", "view", "view", "cart"])
    assert table.exit_code == 0
    assert "buys in this session" in table.output
    plain = orjson.loads(
        CliRunner().invoke(app, ["predict", "view:shoe:59.90", "cart:shoe", "--json"]).output
    )
    assert sum(plain["distribution"].values()) == pytest.approx(1.0, abs=1e-4)
    assert [reason.keys() for reason in plain["reasons"]] == [{"code", "effect", "words"}] * 3


def test_the_predict_command_says_what_is_wrong(tmp_path: Path) -> None:
    unknown = CliRunner().invoke(app, ["predict", "view", "dance"])
    assert unknown.exit_code == 2
    assert "actions[1]: event_type must be one of" in unknown.stderr
    without = CliRunner().invoke(app, ["predict", "view", "--model", str(tmp_path)])
    assert without.exit_code == 1
    assert "has no readable model.onnx" in without.stderr


def test_a_card_is_the_same_after_json(folder: Path) -> None:
    card: NextActionCard = load(folder).card
    assert card == small_training().card
