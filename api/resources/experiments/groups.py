"""What groups of visitors must have before they are compared."""

import math

from api.resources.experiments import schemas

LEAST_PER_ARM = 30
"""Alerts or visitors of a group below which the normal intervals do not hold."""
SUSPICIOUS = 0.001


def sample_ratio(group: int, held_out: int, share: float) -> schemas.SampleRatio | None:
    """Whether the groups fit the share: a chi-squared test with one degree of freedom; None for no groups."""
    n = group + held_out
    if not n or not share:
        return None
    chi_squared = (held_out - n * share) ** 2 / (n * share * (1 - share))
    p_value = math.erfc(math.sqrt(chi_squared / 2))
    return schemas.SampleRatio(
        expected_held_out=share,
        observed_held_out=held_out / n,
        p_value=p_value,
        is_plausible=p_value >= SUSPICIOUS,
    )
