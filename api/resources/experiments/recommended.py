"""What recommendations bring, as the answer says it."""

from collections.abc import Mapping
from dataclasses import asdict

from api.resources.experiments import schemas
from api.resources.experiments.groups import LEAST_PER_ARM, sample_ratio
from contracts.recommendation_arms import HELD_OUT
from contracts.settings import Settings
from models.exposures import ExposureFigures, exposure_figures
from models.recommendation.arms import Arms
from readers.answers import to_money

_DIFFERENCES = ("bought", "revenue_minor")


def say_recommendations(counts: Mapping[str, int], settings: Settings) -> dict[str, schemas.ScenarioUplift]:
    """Scenario to the figures of its arms, less those that there is too little data for."""
    arms = Arms(hold_out=settings.recommendation_hold_out, others=settings.recommendation_arms)
    return {
        scenario: schemas.ScenarioUplift(
            arms={
                arm: _say(arm, figures, arms.shares, settings.currency)
                for arm, figures in of_scenario.items()
            }
        )
        for scenario, of_scenario in exposure_figures(counts).items()
    }


def _say(
    arm: str, figures: ExposureFigures, shares: Mapping[str, float], currency: str
) -> schemas.ExposedUplift:
    n, uplift = figures.exposures, figures.uplift
    share = shares.get(HELD_OUT, 0.0)
    why, ratio = "this is the arm that the others are compared with", None
    bought = revenue_minor = None
    if arm != HELD_OUT:
        group, held_out = uplift.told.n, uplift.held_out.n
        why = _missing(group, held_out, share)
        if arm in shares and share:
            ratio = sample_ratio(group, held_out, share / (share + shares[arm]))
        if not why:
            bought, revenue_minor = uplift.bought, uplift.revenue_minor
    return schemas.ExposedUplift(
        exposures=n,
        items=figures.items,
        clicks=figures.clicks,
        click_rate=figures.click_rate,
        carts=figures.carts,
        purchases=figures.purchases,
        units=figures.units,
        revenue=to_money(figures.revenue_minor),
        revenue_per_exposure_minor=figures.revenue_minor.get(currency, 0) / n if n else None,
        visitors=schemas.ArmFigures(**asdict(uplift.told)),
        bought=None if bought is None else schemas.Difference(**asdict(bought)),
        revenue_minor=None if revenue_minor is None else schemas.Difference(**asdict(revenue_minor)),
        sample_ratio=ratio,
        missing=dict.fromkeys(_DIFFERENCES, why) if why else {},
    )


def _missing(group: int, held_out: int, share: float) -> str:
    if not share and not held_out:
        return "no visitor is held out: set STOREPULSE_RECOMMENDATION_HOLD_OUT"
    fewest = min(group, held_out)
    if fewest >= LEAST_PER_ARM:
        return ""
    whose = HELD_OUT if held_out <= group else "this arm"
    return f"not enough data yet: {fewest} of at least {LEAST_PER_ARM} visitors of {whose}"
