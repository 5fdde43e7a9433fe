"""From a file of baskets to an answer: `train next-basket`, the folder of the settings, the request."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from api.app import create_app
from api.resources.next_basket.predictor import BasketPredictor
from api.services import services_of
from models.next_basket.served import load
from ops.cli import app as cli
from rule_model import GivenModel
from services import unique_settings

NEXT = "/v1/predict/next-basket"
NO_KAFKA = "127.0.0.1:1"
FROM = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.slow


def write_receipts(path: Path, n_users: int = 60) -> None:
    """Customers with a basket every third day: one of two products of their own in turn, and any other."""
    random = np.random.default_rng(1)
    rows = [
        (user, 100 * number + user, item, FROM + timedelta(days=3 * number))
        for user in range(n_users)
        for number in range(12)
        for item in {f"own{user % 9}-{number % 2}", f"any{random.integers(12)}"}
    ]
    names = ["household_id", "basket_id", "product_id", "transaction_timestamp"]
    pl.DataFrame(rows, names, orient="row").write_parquet(path)


async def test_a_running_service_takes_up_what_is_trained_into_its_folder(
    redis_url: str, tmp_path: Path
) -> None:
    folder, receipts = tmp_path / "model", tmp_path / "receipts.parquet"
    write_receipts(receipts)
    baskets = [
        {"items": [f"own3-{n % 2}", "any1"], "at": f"2026-02-{3 * n + 1:02}T00:00:00Z"} for n in range(5)
    ]
    body = {"baskets": baskets, "asked_at": "2026-02-16T00:00:00Z", "limit": 4}
    app = create_app(unique_settings(NO_KAFKA, redis_url, next_basket_dir=str(folder)), GivenModel())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        before = (await client.post(NEXT, json=body)).json()
        assert (before["answered_by"], before["model_trouble"]) == ("repeats", "unavailable")

        done = CliRunner().invoke(
            cli, ["train", "next-basket", "--data", str(receipts), "--out", str(folder)]
        )
        assert done.exit_code == 0, done.output
        host = services_of(app).get(BasketPredictor).host
        assert host is not None
        await host.look()

        answer = (await client.post(NEXT, json=body)).json()
    trained = load(folder)
    expected = trained.rank(
        [["own3-0", "any1"], ["own3-1", "any1"]] * 2 + [["own3-0", "any1"]], [3.0, 6.0, 9.0, 12.0, 15.0], 4
    )
    assert (answer["answered_by"], answer["model"]) == ("model", trained.version)
    assert [(item["product_id"], item["score"]) for item in answer["items"]] == [
        (one.product_id, pytest.approx(one.score, abs=1e-6)) for one in expected
    ]
    assert answer["items"][0]["product_id"] == "own3-1"  # the other one was in the newest basket
