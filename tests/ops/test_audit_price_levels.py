"""Chances at a price level that is not known exactly: a model may jump anywhere within its range."""

from dataclasses import dataclass, replace
from math import log

import numpy as np
import numpy.typing as npt
import pytest

from models.next_action.features import CONTEXT_FEATURES
from ops.audit import ChurnAlertRules, ScoreReplay
from ops.audit.abandoned import SentEvent
from ops.audit.price_track import PriceTrack
from ops.audit.stated_chances import Finding, StatedChance, verify
from rule_model import RuleModel
from scored_shop import SETTINGS
from shoppers import NOW_MS

RULES = replace(ChurnAlertRules.of(SETTINGS), look_again_ms=1_000)
PRICE = CONTEXT_FEATURES.index("price_vs_shop")
VIEW = SentEvent(NOW_MS, 0, b"tie", "p1", 1, 105, "EUR", NOW_MS + 20)
TRACK = PriceTrack(
    [(NOW_MS - 60_000 + i, 100 if i < 3_000 else 125) for i in range(6_000)],
    batch_events=100, read_again=True,
)  # fmt: skip


@dataclass
class JumpingModel(RuleModel):
    """Says .54 where the price of the newest action less the level is near `at`, else .5."""

    at: float = 0.0

    def predict(
        self,
        steps: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        context: npt.NDArray[np.float32],
        ids: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        probabilities, _ = super().predict(steps, lengths, context, ids)
        is_near = np.abs(context[:, PRICE] - self.at) < 0.002
        return probabilities, np.where(is_near, 0.54, 0.5).astype(np.float32)


@pytest.mark.parametrize(
    ("stated", "finding"),
    [(0.5, Finding.HOLDS), (0.54, Finding.HOLDS), (0.6, Finding.CANNOT_BE)],
)
def test_a_chance_that_the_model_gives_at_few_of_the_levels_holds(stated: float, finding: Finding) -> None:
    span = TRACK.span(VIEW.at_ms, VIEW.arrived_ms)
    assert span is not None
    low, high = span
    assert high - low > 0.05
    model = JumpingModel(at=log(VIEW.price_minor or 0) - (low + 0.3 * (high - low)))
    replay = ScoreReplay(model, {0: TRACK}, partitions=1, idle_ms=RULES.idle_ms, silences_ms=[1_000])
    chance = StatedChance("u1", "u1", model.version, stated, ((VIEW.at_ms, 0),))
    (found,) = verify([chance], {"u1": [VIEW]}, replay, RULES)
    assert found.finding is finding
    assert bool(found.why) == (finding is Finding.CANNOT_BE)
