"""The command that compares models of the next item."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from contracts.events import encode
from ops.cli import app
from producers.simulator.simulation import SimulationConfig, simulate
from shoppers import make_event

pytestmark = pytest.mark.slow

pytest.importorskip("torch", reason="the extra [train] is not installed")

QUICK = "popularity,last-item,markov,item-knn-last"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", "next-item", *map(str, arguments)])
    return result.exit_code, result.output


def figures_of(folder: Path, *arguments: object) -> dict:
    code, output = run(*arguments, "--json", folder / "figures.json")
    assert code == 0, output
    return json.loads((folder / "figures.json").read_bytes())


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    path = tmp_path / "sequences.parquet"
    items = [[1, 2], [1, 2], [1, 3], [2, 1], [3, 1]] * 4
    pl.DataFrame({"seq_no": range(len(items)), "items": items}).write_parquet(path)
    return path


def test_sequences_and_pairs(sequences: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.parquet"
    pl.DataFrame({"prefix": [[1], [9], [1, 2]], "target": [2, 1, 9]}).write_parquet(pairs)
    found = figures_of(tmp_path, "--train", sequences, "--test", pairs, "--models", QUICK)
    assert found["train"] == {"sessions": 20, "events": 40, "items": 3}
    told = {"cases": 3, "sessions": 3, "new_targets": 1, "targets_in_prefix": 0.0, "taken_out": 0}
    assert found["cases"] == told
    models = {model["name"]: model["figures"] for model in found["models"]}
    assert list(models) == QUICK.split(",")
    # Item 1 is followed by 2 twice as often as by 3. After an unknown item all items tie.
    assert models["markov"]["recall@1"] == pytest.approx(1 / 3)
    assert models["markov"]["mrr@5"] == pytest.approx((1 + 1 / 3) / 3, abs=1e-6)
    assert models["last-item"]["recall@20"] == pytest.approx(2 / 3)


def test_sequences_alone_are_split_by_their_order(sequences: Path, tmp_path: Path) -> None:
    found = figures_of(tmp_path, "--train", sequences, "--models", "markov", "--held-back", 0.2)
    assert found["train"]["sessions"] == 16
    assert found["cases"]["cases"] == 4


def test_event_logs_with_sessions_and_actions(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    kinds = ("view", "cart", "remove_from_cart", "purchase")
    rows = [
        f"2026-01-0{day}T10:0{minute}:00Z,s{day},p{minute},{kind}"
        for day in range(1, 10)
        for minute, kind in enumerate(kinds)
    ]
    log.write_text("\n".join(["event_time,session_id,item_id,event_type", *reversed(rows)]))
    found = figures_of(tmp_path, "--train", log, "--models", "markov", "--held-back", 0.34)
    (model,) = found["models"]
    assert found["train"] == {"sessions": 6, "events": 18, "items": 3}
    assert model["kinds"]["next cart"]["cases"] == model["kinds"]["next purchase"]["cases"] == 3
    assert model["figures"]["recall@1"] == 1.0


def test_files_of_events_are_cut_at_pauses(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    events = [
        make_event("view", 86_400 * n + 60 * minute, product, user=f"v{n}")
        for n in range(10)
        for product, minute in (("a", 0), ("b", 10), ("a", 50))
    ]
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    found = figures_of(tmp_path, "--events", path, "--models", "markov")
    assert found["train"] == {"sessions": 18, "events": 27, "items": 2}
    assert found["cases"]["cases"] == 1


def test_the_whole_table_of_a_simulated_shop(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    events = simulate(SimulationConfig(1_759_276_800_000, 1_759_276_800_000 + 86_400_000, 0.05, 300), seed=3)
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    found = figures_of(tmp_path, "--events", path, "--collapse-repeats")
    vstan = next(model for model in found["models"] if model["name"] == "vstan")
    assert vstan["settings"]["tried"][0]["change"] == {}
    assert vstan["settings"]["chosen"]["k"] in (100, 500, 1_500)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ([], "give either --events FILE, or --train FILE", 2),
        (["--events", "{file}", "--train", "{file}"], "give either --events FILE", 2),
        (["--train", "nowhere.parquet"], "nowhere.parquet does not exist", 1),
        (["--train", "{file}", "--models", "oracle"], "models must be among popularity,", 2),
        (["--train", "{file}", "--held-back", "1.5"], "Invalid value for '--held-back'", 2),
        (["--train", "{file}", "--held-back", "0.01"], "a share of 0.01 of 20 sessions leaves none", 2),
        (["--train", "{file}", "--min-prefix", "5"], "prefixes of 5 items or more to ask", 2),
        (["--train", "{other}"], "must have the columns items, or prefix and target", 1),
    ],
)
def test_what_cannot_be_measured_is_said(
    sequences: Path, tmp_path: Path, arguments: list[str], message: str, code: int
) -> None:
    other = tmp_path / "other.parquet"
    pl.DataFrame({"products": [1]}).write_parquet(other)
    found, output = run(*(argument.format(file=sequences, other=other) for argument in arguments))
    assert message in " ".join(output.split())
    assert found == code


def test_figures_of_a_public_data_set(shop_data: Path, tmp_path: Path) -> None:
    """The Markov chain on the latest tenth of RetailRocket's sessions, with repeats."""
    file = shop_data / "retailrocket_sessions" / "train_sequences.parquet"
    found = figures_of(tmp_path, "--train", file, "--min-prefix", 2, "--models", "markov")
    (markov,) = found["models"]
    assert markov["figures"]["recall@20"] == pytest.approx(0.3121, abs=5e-4)
    assert markov["figures"]["mrr@20"] == pytest.approx(0.1561, abs=5e-4)
