"""`storepulse recommend` against an API that runs."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from contracts.clock import wall_clock_ms
from contracts.seen_products import SeenProduct
from contracts.sessions import StoredSession
from ops.cli import app
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import unique_settings
from shop_state import ShopState
from visitor_makers import VIEW, make_visitor


@pytest.fixture
def url(redis_url: str) -> Iterator[str]:
    state = ShopState(unique_settings("127.0.0.1:1", redis_url, partitions=2, api_port=pick_port()))
    now = wall_clock_ms()
    state.put_session("v1", 1, StoredSession(now - 2_000, now - 1_000, ("tea", "cup"), (1, 1)), now)
    state.see_product(0, "cup", SeenProduct("kitchen", None, 900, "EUR"))
    state.put_visitor("you", make_visitor((VIEW, "tea")))
    state.flush()
    served = ServedApi(state.settings)
    served.start()
    yield served.url
    served.stop()
    state.close()


def test_it_shows_products_with_price_and_reason_and_what_is_refused(url: str) -> None:
    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["recommend", *words, "--url", url])
        return result.exit_code, result.output

    code, shown = run("you", "--exclude", "tea")
    assert code == 0
    assert shown.startswith("for_you; arm main")
    assert "900" not in shown
    assert shown.splitlines()[-1].split()[:4] == ["1", "cup", "9.00", "EUR"]
    assert "tea" in shown.splitlines()[-1]
    code, answer = run("stranger", "--json", "--limit", "1")
    assert (code, json.loads(answer)["rec_id"], json.loads(answer)["is_known"]) == (0, None, False)
    assert run("you", "--category", "garden")[1].splitlines()[-1] == "The rules allow none of the products."
    code, said = run("you", "--limit", "0")
    assert (code, said.startswith("limit.too_small")) == (1, True)
