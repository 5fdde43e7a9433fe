"""Many series over the same buckets, for replay and evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from models.demand.observation import Floats, Ints, Observation


@dataclass(frozen=True, slots=True)
class Panel:
    """`n` series over `t` buckets."""

    first_bucket: int
    sold: Floats  # (t, n), NaN before a series begins
    on_sale: Floats  # (t, n)
    covariates: Floats  # (t, n, covariates)
    covariate_names: tuple[str, ...]
    groups: Ints  # (n,)
    names: tuple[str, ...]

    def observations(self, start: int = 0, stop: int | None = None) -> Iterator[Observation]:
        """The buckets from number `start` to before `stop`, in their order."""
        n = self.sold.shape[1]
        none: Floats = self.covariates[0, :, :0]
        for t in range(start, len(self.sold) if stop is None else stop):
            yield Observation(
                self.first_bucket + t, self.sold[t], self.on_sale[t], self.covariates[t], none[:n]
            )

    def until(self, t: int) -> "Panel":
        """The buckets before number `t`."""
        return replace(self, sold=self.sold[:t], on_sale=self.on_sale[:t], covariates=self.covariates[:t])
