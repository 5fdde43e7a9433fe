"""`/v1/users/{user_id}/next-action` against blobs in a real Redis."""

import httpx
import pytest

from contracts.clock import wall_clock_ms
from contracts.predictions import Predictions
from contracts.scores import Score
from contracts.visitor import Action, Session, Totals, Visitor, pack_actions
from models.silence import hear_silence
from rule_model import GivenModel
from shop_state import ShopState

AT_MS = 1_570_000_000_000
SCORE = Score("m-1", AT_MS, 3, 2, (0.5, 0.1, 0.05, 0.05, 0.3), 0.2, (("bought", 0.7), ("unheard_of", -0.4)))


def make_visitor(score: Score | None = SCORE, *, last_ms: int = AT_MS, ended: bool = False) -> Visitor:
    counts = (2, 0, 1, 0, 0)
    session = Session("s1", 2, AT_MS - 60_000, last_ms, counts, 0, {}, {})
    tail = pack_actions([Action(last_ms, 2, b"b" * 8, "p2", 1, None, None, None, None, "s1")])
    totals = Totals(AT_MS - 60_000, last_ms, counts, 0, {})
    return Visitor(totals, None, session, tail, ended, 0, b"", {}, Predictions(score))


def put(state: ShopState, visitor: Visitor, *, user_id: str = "u1", as_of_ms: int = AT_MS) -> None:
    """A visitor in a replay whose newest event is at `as_of_ms`."""
    state.put_visitor(user_id, visitor)
    state.set_meta(0, max_event_ms=as_of_ms, broker_ms=wall_clock_ms())
    state.flush()


async def test_a_score_is_told_as_of_the_action_and_after_the_silence(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    put(state, make_visitor(), as_of_ms=AT_MS + 600_000)
    answer = await client.get("/v1/users/u1/next-action")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert (found["model"], found["scored_actions"], found["session"]) == ("m-1", 3, 2)
    assert found["scored_at"] == "2019-10-02T07:06:40Z"
    assert found["as_of"] == "2019-10-02T07:16:40Z"
    assert (found["silence_s"], found["session_over"]) == (600, False)
    assert found["at_last_action"] == {
        "next_action": "view",
        "confidence": 0.5,
        "distribution": {
            "view": 0.5,
            "cart": 0.1,
            "remove_from_cart": 0.05,
            "purchase": 0.05,
            "leave": 0.3,
        },
        "purchase_probability": 0.2,
    }
    heard = hear_silence(SCORE, 600_000)
    assert found["now"]["next_action"] == "leave"
    assert found["now"]["confidence"] == heard.probabilities[-1] > 0.5
    assert found["now"]["purchase_probability"] == heard.purchase < 0.2
    assert found["reasons"] == [
        {
            "code": "bought",
            "words": "nothing bought in this session: raises the chance of a purchase",
            "effect": 0.7,
        },
        {
            "code": "unheard_of",
            "words": "unheard of: lowers the chance of a purchase",
            "effect": -0.4,
        },
    ]


async def test_without_silence_both_predictions_are_the_same(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    put(state, make_visitor())
    found = (await client.get("/v1/users/u1/next-action")).json()
    assert found["now"] == found["at_last_action"]


async def test_a_score_that_is_older_than_the_last_action_says_nothing_of_now(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    put(state, make_visitor(last_ms=AT_MS + 5_000), as_of_ms=AT_MS + 9_000)
    found = (await client.get("/v1/users/u1/next-action")).json()
    assert (found["now"], found["silence_s"]) == (None, 4)
    assert found["reasons"][0]["words"] == "purchases in this session: raises the chance of a purchase"
    assert found["scored_at"] == "2019-10-02T07:06:40Z"


@pytest.mark.parametrize(("ended", "silence_ms"), [(True, 0), (False, 1_800_001)])
async def test_a_session_that_is_over_is_called_so(
    client: httpx.AsyncClient, state: ShopState, ended: bool, silence_ms: int
) -> None:
    put(state, make_visitor(ended=ended), as_of_ms=AT_MS + silence_ms)
    found = (await client.get("/v1/users/u1/next-action")).json()
    assert found["session_over"] is True


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nobody-knows-me/next-action", 404, "user.unknown"),
        ("unscored/next-action", 404, "score.none"),
        ("/next-action", 422, "user_id.blank"),
        ("a%00b/next-action", 422, "user_id.control_characters"),
        ("u1/next-action?secret-name=1", 422, "query.unknown"),
    ],
)
async def test_what_is_missing_has_a_code(
    client: httpx.AsyncClient, state: ShopState, path: str, status: int, code: str
) -> None:
    put(state, make_visitor(None), user_id="unscored")
    answer = await client.get(f"/v1/users/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "nobody-knows-me" not in answer.text
    assert "secret-name" not in answer.text


@pytest.mark.parametrize(
    ("path", "user_id", "scored"),
    [
        ("a/next-action", "a", True),
        ("a%2Fnext-action", "a/next-action", False),
        ("a%2Fnext-action/next-action", "a/next-action", True),
        ("a/next-action/next-action", "a/next-action", True),
        ("next-action", "next-action", False),
        ("next-action/next-action", "next-action", True),
        ("a%2Fb/next-action", "a/b", True),
        ("a/b/next-action", "a/b", True),
        ("%2F/next-action", "/", True),
        ("a/next-action%2F", "a/next-action/", False),
    ],
)
async def test_an_id_with_an_encoded_slash_is_never_taken_for_a_question(
    client: httpx.AsyncClient, state: ShopState, path: str, user_id: str, scored: bool
) -> None:
    put(state, make_visitor(), user_id=user_id)
    answer = await client.get(f"/v1/users/{path}")
    assert answer.status_code == 200
    assert answer.json()["user_id"] == user_id
    assert ("scored_at" in answer.json()) is scored


async def test_only_get_is_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/users/u1/next-action")
    assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed")


class TestWithoutModel:
    """No artefact can be loaded."""

    @pytest.fixture
    def source(self) -> GivenModel:
        return GivenModel(error=ValueError("golden outputs differ"))

    async def test_a_visitor_without_a_score_says_that_there_is_no_model(
        self, client: httpx.AsyncClient, state: ShopState
    ) -> None:
        put(state, make_visitor(None))
        detail = (await client.get("/v1/users/u1/next-action")).json()["detail"]
        assert detail == "no model has scored this visitor; no model could be loaded, see /v1/models"
