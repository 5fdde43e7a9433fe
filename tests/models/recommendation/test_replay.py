"""The replay asks before it teaches, and its figures are what a hand count gives."""

from collections.abc import Sequence

from contracts.visitor import Action
from models.recommendation.evaluation.baselines import baselines
from models.recommendation.evaluation.figures import measure
from models.recommendation.evaluation.live import Live
from models.recommendation.evaluation.replay import Past, actions_in_time, replay
from shoppers import make_event

IDLE_MS = 1_000


class Told:
    """Answers with what it was told last, and notes what it was taught."""

    name = "told"

    def __init__(self) -> None:
        self.learnt: list[str] = []

    def best(self, past: Past, now_ms: int) -> Sequence[str]:
        assert past.session[-1].at_ms <= now_ms
        return self.learnt[::-1]

    def learn(self, past: Past, action: Action) -> None:
        assert past.steps[-1].product_id == action.product_id
        self.learnt.append(action.product_id)


def shop(*visits: str) -> list[tuple[str, Action]]:
    """Sessions one after the other, each of its own visitor; a capital letter is a purchase."""
    events = [
        make_event(
            "purchase" if letter.isupper() else "view",
            100 * number + 0.1 * place,
            letter.lower(),
            user=f"v{number}",
            category="letters",
        )
        for number, visit in enumerate(visits)
        for place, letter in enumerate(visit)
    ]
    return actions_in_time(events)


def test_a_target_is_asked_for_before_it_is_learnt() -> None:
    told = Told()
    outcome = replay(shop("abA", "bc"), [told], idle_ms=IDLE_MS)
    assert told.learnt == list("ababc")
    # b is unknown after a; a stands second after b; c is unknown after b.
    assert outcome.rank.tolist() == [[0, 2, 0]]
    assert outcome.without_latest.tolist() == [[0, 1, 0]]
    assert outcome.kind.tolist() == [0, 2, 0]


def test_a_pause_begins_a_session_whose_first_action_is_no_case() -> None:
    actions = shop("ab")
    visitor, late = actions[1]
    later = late._replace(at_ms=late.at_ms + 2 * IDLE_MS)
    outcome = replay([actions[0], (visitor, later)], [Told()], idle_ms=IDLE_MS)
    assert outcome.rank.shape == (1, 0)


def test_recommendations_learn_within_a_replay_what_follows() -> None:
    visits = ["xay", "xbz"] + ["abc", "abd", "abc", "qr"] * 6
    contenders = [*baselines(), Live("for_you", idle_ms=IDLE_MS)]
    outcome = replay(shop(*visits), contenders, idle_ms=IDLE_MS, first=0.5)
    blocks = measure(outcome, "for_you")
    everything = blocks[0]
    lines = {line.name: line for line in everything.lines}
    assert everything.n_cases == len(outcome.kind)
    assert lines["for_you"].hit_rate == 1.0
    assert lines["for_you"].hit_rate_over is None
    over = lines["session's own products"].mrr_over
    assert over is not None
    assert over.low > 0
    assert {block.kind for block in blocks} == {"all", "view"}
