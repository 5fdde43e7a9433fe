"""What silence says of a visitor's chance."""

from hypothesis import given
from hypothesis import strategies as st

from alerted_visitor import make_score
from contracts.visitor import Session
from models.silence import DEFAULT_CURVE, hear_silence
from shoppers import NOW_MS


@given(st.integers(0, 40 * 60_000), st.floats(0, 1), st.floats(0, 1))
def test_silence_never_raises_the_chance_and_keeps_a_distribution(
    silence_ms: int, purchase: float, leave: float
) -> None:
    session = Session(None, 1, NOW_MS, NOW_MS, (1, 0, 0, 0, 0), 0, {}, {})
    score = make_score(session, purchase, leave=leave)
    heard = hear_silence(score, silence_ms)
    assert 0 <= heard.purchase <= score.purchase
    assert heard.probabilities[4] >= score.probabilities[4] - 1e-9
    assert abs(sum(heard.probabilities) - 1) < 4e-4


def test_the_curve_of_silence_falls_from_one() -> None:
    assert DEFAULT_CURVE.seconds == tuple(sorted(set(DEFAULT_CURVE.seconds)))
    for shares in (DEFAULT_CURVE.staying, DEFAULT_CURVE.buying):
        assert shares[0] == 1
        assert list(shares) == sorted(shares, reverse=True)
