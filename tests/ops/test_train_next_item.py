"""The command that trains a session network of the next item."""

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from contracts.events import encode
from models.next_item import network
from models.next_item.served import load_served
from ops.cli import app
from producers.simulator.simulation import SimulationConfig, simulate
from small_sessions import N_ITEMS, small_sessions

pytestmark = pytest.mark.slow

pl = pytest.importorskip("polars", reason="the extra [train] is not installed")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "sequences.parquet"
    items = [session.tolist() for session in small_sessions().each()]
    pl.DataFrame({"seq_no": range(len(items)), "items": items}).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def trained(sequences: Path) -> Path:
    """The folder of a network."""
    folder = sequences.parent / "model"
    result = CliRunner().invoke(
        app,
        [
            "train", "next-item", "--train", str(sequences), "--out", str(folder),
            "--runs", str(sequences.parent / "runs"), "--epochs", "2", "--width", "8", "--negatives", "16",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "recall@20" in result.output
    return folder


def test_a_file_of_sequences_becomes_a_folder_with_a_network(trained: Path) -> None:
    written = network.load(trained)
    assert len(written.items.ids) == N_ITEMS
    assert written.card.training["sessions"] == small_sessions().n_sessions
    assert written.card.training["origin"].startswith("sequences.parquet")
    assert (trained.parent / "runs" / f"next-item-{written.version}" / "metrics.json").is_file()


def test_the_network_before_the_refit_is_kept_inside(trained: Path) -> None:
    before = network.load(trained / network.VALIDATED)
    assert before.card.training["sessions"] == round(0.9 * small_sessions().n_sessions)
    assert before.items.counts.sum() < network.load(trained).items.counts.sum()


def test_a_written_network_says_of_products_what_it_says_of_items(trained: Path) -> None:
    whole, served = network.load(trained), load_served(trained)
    names = whole.items.ids.tolist()
    (expected,) = whole.scores([np.array([3, 5], dtype=np.int32)])
    found = served.scores([names[3], "nothing", names[5]], [*names, "nothing"])
    assert found is not None
    learnt = whole.items.counts > 0
    assert found[:-1][learnt] == pytest.approx(expected[learnt], abs=1e-6)
    assert np.isnan(found[-1])
    assert served.scores(["nothing"], names) is None
    assert served.version == whole.version


def test_a_folder_gives_the_rows_of_the_network(sequences: Path, trained: Path, tmp_path: Path) -> None:
    pairs, figures = tmp_path / "pairs.parquet", tmp_path / "figures.json"
    items = [session.tolist() for session in small_sessions().each()][:200]
    table = pl.DataFrame({"prefix": [one[:-1] for one in items], "target": [one[-1] for one in items]})
    table.write_parquet(pairs)
    options = [
        "--models",
        "trees,network,live-network,live-ranker,blend,ranker",
        "--network",
        str(trained),
        "--json",
        str(figures),
    ]
    files = ["--train", str(sequences), "--test", str(pairs)]
    result = CliRunner().invoke(app, ["evaluate", "next-item", *files, *options])
    assert result.exit_code == 0, result.output
    models = {model["name"]: model for model in json.loads(figures.read_bytes())["models"]}
    rows = ["markov", "trees", "network", "live-network", "live-ranker", "blend", "ranker"]
    assert list(models) == rows
    assert set(models["blend"]["settings"]) > {"network", "vstan"}
    # Items that mostly follow each other: whatever else is in the pool, the Markov chain is hard to beat.
    found = {name: models[name]["figures"]["recall@1"] for name in rows}
    assert min(found["blend"], found["ranker"], found["live-ranker"]) > 0.8 * found["markov"] > 0.4
    # It was learnt that the latest item hardly ever comes again, which the recent sessions put first.
    assert found["live-ranker"] > found["live-network"]


def test_a_folder_without_a_ranker_lacks_its_row(sequences: Path, tmp_path: Path) -> None:
    files, folder = ["--train", str(sequences), "--held-back", "0.1"], tmp_path / "model"
    small = ["--epochs", "1", "--width", "8", "--negatives", "16", "--no-ranker", "--no-refit"]
    out = ["--out", str(folder), "--runs", str(tmp_path / "runs")]
    assert CliRunner().invoke(app, ["train", "next-item", *files, *small, *out]).exit_code == 0
    rows = ["--network", str(folder), "--models", "live-index,live-ranker"]
    result = CliRunner().invoke(app, ["evaluate", "next-item", *files, *rows])
    assert result.exit_code == 0, result.output
    assert "live-ranker is left out: needs --network with a folder that has a ranker" in result.output


def test_a_network_that_left_out_the_newest_sessions_is_measured_on_them(
    sequences: Path, tmp_path: Path
) -> None:
    folder, figures = tmp_path / "model", tmp_path / "figures.json"
    share = ["--train", str(sequences), "--held-back", "0.2"]
    small = ["--epochs", "1", "--width", "8", "--negatives", "16"]
    files = ["--out", str(folder), "--runs", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, ["train", "next-item", *share, *small, *files])
    assert result.exit_code == 0, result.output
    assert network.load(folder).card.training["sessions"] == round(0.8 * small_sessions().n_sessions)
    names = "trees,ranker,ranker-no-neighbours,ranker-no-popularity"
    options = ["--models", names, "--network", str(folder), "--json", str(figures)]
    result = CliRunner().invoke(app, ["evaluate", "next-item", *share, *options])
    assert result.exit_code == 0, result.output
    models = {model["name"]: model for model in json.loads(figures.read_bytes())["models"]}
    ranked = [models[name]["settings"] for name in ("ranker", "ranker-no-popularity", "ranker-no-neighbours")]
    assert "log_popularity" in ranked[0]
    assert not [name for name in ranked[1] if "popularity" in name or "events_since" in name]
    assert not [name for name in ranked[2] if name.startswith(("vstan", "cooccurrence"))]


def test_a_network_of_other_sessions_is_refused(sequences: Path, trained: Path) -> None:
    options = ["--models", "blend", "--network", str(trained)]
    result = CliRunner().invoke(app, ["evaluate", "next-item", "--train", str(sequences), *options])
    assert result.exit_code == 2
    assert "the network must have learnt from the sessions that the others learn from" in " ".join(
        result.output.split()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give one file, with --train or with --events, got 0"),
        (["--kind", "lstm"], "the kind of network must be one of gru, core, sasrec, got 'lstm'"),
        (["--loss", "bpr"], "the loss must be one of sampled, full, got 'bpr'"),
    ],
)
def test_what_cannot_be_trained_is_named(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(app, ["train", "next-item", *arguments])
    assert result.exit_code == 2
    assert words in result.output


def test_a_file_of_events_names_products_by_their_ids(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    config = SimulationConfig(1_759_276_800_000, rate=0.1, visitors=300)
    events = list(islice(simulate(config, seed=3), 3_000))
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    result = CliRunner().invoke(
        app,
        [
            "train", "next-item", "--events", str(path), "--out", str(tmp_path / "model"), "--runs",
            str(tmp_path / "runs"), "--epochs", "1", "--width", "8", "--negatives", "16", "--no-refit",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    ids = network.load(tmp_path / "model").items.ids.tolist()
    assert len(set(ids)) == len(ids) > 10
    assert set(ids) <= {event.product_id for event in events}
