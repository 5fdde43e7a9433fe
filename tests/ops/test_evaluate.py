"""The command that compares predictors of the next action."""

import json
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.events import encode
from ops.cli import app
from producers.simulator.simulation import SimulationConfig, simulate

pytestmark = pytest.mark.slow

pytest.importorskip("lightgbm", reason="the extra [train] is not installed")
pytest.importorskip("torch", reason="the extra [train] is not installed")


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.jsonl"
    events = islice(simulate(SimulationConfig(1_759_276_800_000, rate=0.1, visitors=300), seed=3), 6_000)
    path.write_bytes(b"not an event\n" + b"".join(encode(event) + b"\n" for event in events))
    return path


def test_a_file_of_events_becomes_a_table_and_a_file_of_figures(shop_file: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(
        app,
        [
            "evaluate", "next-action", "--events", str(shop_file), "--seeds", "2", "--json", str(figures),
            "--models", "markov-2,majority",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "shop.jsonl" in result.output
    assert "1 rows are not valid events" in result.output
    (shop,) = json.loads(figures.read_bytes())["shops"]
    assert [model["name"] for model in shop["models"]] == ["majority", "markov-2"]
    assert shop["reference"] == "markov-2"
    majority, markov = (model["test"]["log_loss"]["mean"] for model in shop["models"])
    assert markov < majority


def test_the_synthetic_shop_is_marked_as_simulated(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(
        app,
        [
            "evaluate",
            "next-action",
            "--simulate-days",
            "0.5",
            "--valid",
            "0.2",
            "--models",
            "majority",
            "--json",
            str(figures),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "simulated shop" in result.output
    assert json.loads(figures.read_bytes())["shops"][0]["simulated"] == "demo"


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ([], "give files with --events", 2),
        (["--events", "nowhere.csv"], "nowhere.csv", 1),
        (["--events", "{shop}", "--models", "oracle"], "models must be among majority, markov-1", 2),
        (
            ["--events", "{shop}", "--models", "majority", "--reference", "trees"],
            "reference must be among",
            2,
        ),
        (["--events", "{shop}", "--train", "0.95"], "train and valid must be shares", 2),
    ],
)
def test_what_cannot_be_measured_is_said(
    shop_file: Path, arguments: list[str], message: str, code: int
) -> None:
    filled = [argument.format(shop=shop_file) for argument in arguments]
    result = CliRunner().invoke(app, ["evaluate", "next-action", *filled])
    assert result.exit_code == code
    assert message in " ".join(result.output.split())
