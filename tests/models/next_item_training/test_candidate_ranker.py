"""The ranker of candidates: learnt from a replay without the future, and served from its folder."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from contracts.sessions import VIEWED
from models.artefacts.card import CARD_FILE, ArtefactError
from models.next_item.card import RANKER_FILE, NextItemCard
from models.next_item.cases import known_cases_of
from models.next_item.network import VALIDATED, load
from models.next_item.served import load_served
from models.next_item.sessions import Sessions, sessions_of, split_by_time
from models.next_item.training.candidate_cases import actions_of_sessions, replay_candidates
from models.next_item.training.ranker import RankerConfig, train_ranker
from models.next_item.training.recipe import Recipe, Trained, train
from models.recommendation.candidates import FEATURES
from models.recommendation.catalogue import CatalogueView
from models.recommendation.evaluation.live import ReplayedShop
from models.recommendation.evaluation.replay import Pasts
from models.recommendation.recommend import recommend
from models.recommendation.request import RecommendationRequest, Rules, Step
from models.recommendation.session_model import CandidateRanker, SessionModel
from small_sessions import FIT, N_ITEMS, NET, small_sessions

pytestmark = pytest.mark.slow
IDLE_MS = 30 * 60_000
IDS = np.array([f"p{code}" for code in range(N_ITEMS)])
RANKER = RankerConfig(most_asked=1_500, kept_wrong=1.0, least_rows=20)


class Asked:
    """A model that has learnt nothing; it keeps what it was asked."""

    version = "asked"
    ranker: CandidateRanker | None = None

    def __init__(self) -> None:
        self.sessions: list[list[str]] = []
        self.candidates: list[set[str]] = []

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> npt.NDArray[np.float64] | None:
        self.sessions.append(list(products))
        self.candidates.append(set(candidates))
        return None


@pytest.fixture(scope="module")
def trained() -> Trained:
    learnt, _ = split_by_time(small_sessions(), 0.1)
    return train(learnt, IDS, Recipe(NET, FIT, seed=3, ranker=RANKER))


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    trained.write(tmp_path / "next-item")
    return tmp_path / "next-item"


def test_sessions_without_times_come_one_after_the_other() -> None:
    actions = actions_of_sessions(sessions_of([[0, 1], [2]], 3), np.array(["a", "b", "c"]))
    assert [(visitor, action.product_id) for visitor, action in actions] == [
        ("0", "a"),
        ("0", "b"),
        ("1", "c"),
    ]
    assert actions[0][1].at_ms == actions[1][1].at_ms < actions[2][1].at_ms - IDLE_MS


def test_sessions_at_the_same_time_are_taken_apart() -> None:
    sessions = Sessions(
        np.array([0, 1, 2, 3], np.int32), np.array([0, 2, 4]), 4, np.array([0, 0, 1, 2], np.int8),
        np.array([10, 30, 20, 40]),
    )  # fmt: skip
    actions = actions_of_sessions(sessions, np.array(list("abcd")))
    assert [(visitor, action.product_id) for visitor, action in actions] == [
        ("0", "a"), ("1", "c"), ("0", "b"), ("1", "d"),
    ]  # fmt: skip
    assert len({action.rank for _, action in actions}) == 3


def test_a_question_knows_only_what_was_before_it() -> None:
    lists = [[0, 1], [0, 1], [0, 2], [5, 6], [0, 5, 6]]
    actions = actions_of_sessions(sessions_of(lists, 7), np.array(list("abcdefg")))
    model = Asked()
    cases = replay_candidates(actions, 4, model, idle_ms=IDLE_MS, most=100)
    assert model.sessions == [["a"], ["f"], ["a"], ["a", "f"]]
    # c after a is not known when it happens, and is by the next session; so is g after f.
    assert model.candidates[0] == {"a", "b"}
    assert model.candidates[2] == {"a", "b", "c"}
    assert "g" in model.candidates[3]
    assert (cases.asked, len(cases)) == (4, 1)
    assert cases.rows[cases.target[0], FEATURES.index("gone_on_to")] > 0


def test_questions_are_those_of_the_live_path(trained: Trained) -> None:
    del trained
    actions = actions_of_sessions(small_sessions(), IDS)
    model = Asked()
    cases = replay_candidates(actions, len(actions) - 200, model, idle_ms=IDLE_MS, most=50)
    assert cases.asked == len(model.sessions) <= 50
    earlier, latest = cases.split(0.25)
    assert (len(earlier) + len(latest), earlier.asked + latest.asked) == (len(cases), cases.asked)
    np.testing.assert_array_equal(np.concatenate([earlier.rows, latest.rows]), cases.rows)
    assert (latest.target < latest.sizes).all()


def ranks_of(folder: Path, without_ranker: bool) -> npt.NDArray[np.int64]:
    """Of the newest tenth, which neither network nor ranker has learnt from, as the API would answer."""
    model = load_served(folder)
    if without_ranker:
        model.ranker = None
    sessions = small_sessions()
    shop, pasts = ReplayedShop(idle_ms=IDLE_MS), Pasts(IDLE_MS)
    learnt, later = split_by_time(sessions, 0.1)
    for visitor, action in actions_of_sessions(learnt, IDS):
        past = pasts.before(visitor, action.at_ms)
        past.add(action)
        shop.learn(past, action)
    shop.advance(1 << 60)
    found = []
    cases = known_cases_of(later, 6)
    for prefix, target in zip(cases.prefixes(), cases.targets, strict=True):
        steps = tuple(Step(str(IDS[code]), VIEWED, 0) for code in prefix)
        request = RecommendationRequest(now_ms=0, prefix=steps, limit=20, rules=Rules(exclude_in_cart=False))
        items = [item.product_id for item in recommend(shop.index, shop.catalogue, request, model).items]
        found.append(1 + items.index(IDS[target]) if IDS[target] in items else 99)
    return np.array(found)


def test_what_is_ranked_is_found_sooner_than_by_the_blend(folder: Path) -> None:
    ranked, blended = ranks_of(folder, False), ranks_of(folder, True)
    assert (1 / ranked).mean() > (1 / blended).mean() + 0.05
    assert (ranked == 1).mean() > (blended == 1).mean() + 0.2


def test_the_card_says_what_the_ranker_is_worth(folder: Path) -> None:
    ranker = load(folder).card.ranker
    assert ranker is not None
    assert ranker.metrics["ranker"]["mrr@20"] > ranker.metrics["sessions"]["mrr@20"]
    assert set(ranker.training["gain"]) <= set(ranker.features)
    assert ranker.training["learnt"] + ranker.training["checked"] <= ranker.training["asked"]
    assert load(folder / VALIDATED).card.ranker is None


def test_the_same_trees_twice(trained: Trained) -> None:
    learnt, _ = split_by_time(small_sessions(), 0.1)
    again = train(learnt, IDS, Recipe(NET, FIT, seed=3, ranker=RANKER))
    assert again.artefact.ranker == trained.artefact.ranker
    assert again.artefact.card.version == trained.artefact.card.version


def test_too_few_questions_make_no_ranker() -> None:
    actions = actions_of_sessions(sessions_of([[0, 1]] * 9, 2), np.array(["a", "b"]))
    assert train_ranker(actions, 4, Asked(), RANKER, idle_ms=IDLE_MS) is None


def test_a_damaged_ranker_is_refused(folder: Path) -> None:
    trees = (folder / RANKER_FILE).read_bytes()
    (folder / RANKER_FILE).write_bytes(trees[:-1] + bytes([trees[-1] ^ 1]))
    with pytest.raises(ArtefactError, match=r"ranker\.onnx does not belong to its card"):
        load_served(folder)
    (folder / RANKER_FILE).unlink()
    with pytest.raises(ArtefactError, match=r"has no readable ranker\.onnx"):
        load_served(folder)


def rewrite(folder: Path, card: NextItemCard) -> None:
    (folder / CARD_FILE).write_bytes(card.sealed().encode())


def test_a_ranker_with_other_scores_than_its_golden_ones_is_refused(folder: Path) -> None:
    card = load(folder).card
    assert card.ranker is not None
    golden = replace(card.ranker.golden, scores=[one + 0.01 for one in card.ranker.golden.scores])
    rewrite(folder, replace(card, ranker=replace(card.ranker, golden=golden)))
    with pytest.raises(ArtefactError, match=r"golden outputs differ: scores by 0\.01"):
        load_served(folder)


def test_a_ranker_of_other_features_is_refused(folder: Path) -> None:
    card = load(folder).card
    assert card.ranker is not None
    rewrite(folder, replace(card, ranker=replace(card.ranker, features=("weather", *card.ranker.features))))
    with pytest.raises(ArtefactError, match=r"other features of candidates .* unknown \['weather'\]"):
        load_served(folder)


def test_a_folder_without_a_ranker_is_served_as_before(folder: Path, trained: Trained) -> None:
    assert trained.validated is not None
    shutil.copytree(folder / VALIDATED, folder.parent / "older")
    older = load_served(folder.parent / "older")
    assert older.ranker is None
    assert "ranker" not in json.loads((folder.parent / "older" / CARD_FILE).read_bytes())
    trained.validated.write(folder)  # over one with a ranker
    assert not (folder / RANKER_FILE).exists()
    assert load_served(folder).version == older.version


def test_a_served_model_is_one_of_sessions(folder: Path) -> None:
    model: SessionModel = load_served(folder)
    request = RecommendationRequest(now_ms=0, prefix=(Step("p1", VIEWED, 0),))
    assert recommend(ReplayedShop(idle_ms=IDLE_MS).index, CatalogueView(), request, model).items
