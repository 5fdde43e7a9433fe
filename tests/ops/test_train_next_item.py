"""The command that trains a session network of the next item."""

from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.events import encode
from models.next_item import network
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


def test_a_file_of_sequences_becomes_a_folder_with_a_network(sequences: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        [
            "train", "next-item", "--train", str(sequences), "--out", str(tmp_path / "model"),
            "--runs", str(tmp_path / "runs"), "--epochs", "2", "--width", "8", "--negatives", "16",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "recall@20" in result.output
    trained = network.load(tmp_path / "model")
    assert len(trained.items.ids) == N_ITEMS
    assert trained.card.training["sessions"] == small_sessions().n_sessions
    assert trained.card.training["origin"].startswith("sequences.parquet")
    assert (tmp_path / "runs" / f"next-item-{trained.version}" / "metrics.json").is_file()


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
