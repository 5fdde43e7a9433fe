"""Baskets of many users as flat arrays, and the cuts that parts of them are made by."""

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


class Baskets(NamedTuple):
    """Histories: the baskets of each user, oldest first, one user after the other.

    A user may occur several times, with histories that end at different baskets. `at_days` are the times of
    baskets in days since 1970, `asked_days` those at which the next basket is asked for; both are None where
    times are unknown.
    """

    users: Ints  # (users,) ids
    user_starts: Ints  # (users + 1,) where the baskets of each user begin
    starts: Ints  # (baskets + 1,) where the items of each basket begin
    items: Int32s  # (lines,) codes 0 to n_items - 1, distinct within a basket
    n_items: int
    at_days: Floats | None = None  # (baskets,)
    asked_days: Floats | None = None  # (users,)

    @property
    def n_users(self) -> int:
        """Histories, which are as many as users unless users occur several times."""
        return len(self.users)

    @property
    def n_baskets(self) -> int:
        """Of all users."""
        return len(self.starts) - 1

    def counts(self) -> Ints:
        """Baskets of each user (users,)."""
        return np.diff(self.user_starts)

    def by_count(self) -> Ints:
        """How many baskets the owner of each basket has (baskets,)."""
        return np.repeat(self.counts(), self.counts())

    def sizes(self) -> Ints:
        """Items of each basket (baskets,)."""
        return np.diff(self.starts)

    def owners(self) -> Ints:
        """Index of each basket's user (baskets,)."""
        return np.repeat(np.arange(self.n_users), self.counts())

    def positions(self) -> Ints:
        """0 for each user's oldest basket, and up (baskets,)."""
        return np.arange(self.n_baskets) - np.repeat(self.user_starts[:-1], self.counts())

    def ages(self) -> Ints:
        """0 for each user's newest basket, and up (baskets,)."""
        return np.repeat(self.user_starts[1:] - 1, self.counts()) - np.arange(self.n_baskets)

    def by_line(self, of_basket: npt.NDArray[T]) -> npt.NDArray[T]:
        """What is known per basket, per line."""
        return np.repeat(of_basket, self.sizes())

    def line_keys(self) -> Ints:
        """`user's index * n_items + item` of each line."""
        return self.by_line(self.owners()) * np.int64(self.n_items) + self.items

    def weighted(self, weights: Floats) -> "sparse.csr_matrix":
        """Per user and item, the sum of the weights of the baskets with the item (users, n_items)."""
        from scipy import sparse  # not at the top: who serves a model has no scipy

        sums = sparse.csr_matrix(
            (self.by_line(weights), (self.by_line(self.owners()), self.items)),
            shape=(self.n_users, self.n_items),
        )
        sums.sum_duplicates()
        return sums

    def of_users(self, chosen: Ints) -> "Baskets":
        """The histories with these indices, in this order."""
        counts = self.counts()[chosen]
        return self._picked(spans(self.user_starts[chosen], counts), counts, chosen)

    def kept(self, keep: Bools) -> "Baskets":
        """The baskets that are kept; users without any are left out."""
        counts = np.bincount(self.owners()[keep], minlength=self.n_users)
        chosen = np.flatnonzero(counts)
        return self._picked(np.flatnonzero(keep), counts[chosen], chosen)

    def before(self, day: float) -> "Baskets":
        """The baskets before a time in days; raises `ValueError` without times."""
        return self.kept(require_times(self) < day)

    def cases(self, targets: Ints) -> "Cases":
        """One case per basket of `targets` (indices): what came before it, and the basket itself.

        A user's first basket has nothing before it and must not be among them.
        """
        owners = self.owners()[targets]
        begins = self.user_starts[owners]
        histories = self._picked(spans(begins, targets - begins), targets - begins, owners)
        one_each = self._picked(targets, np.ones(len(targets), np.int64), owners)
        if self.at_days is not None:
            histories = histories._replace(asked_days=self.at_days[targets])
        return Cases(histories, one_each)

    def _picked(self, baskets: Ints, counts: Ints, users: Ints) -> "Baskets":
        sizes = self.sizes()[baskets]
        return self._replace(
            users=self.users[users],
            user_starts=offsets(counts),
            starts=offsets(sizes),
            items=self.items[spans(self.starts[baskets], sizes)],
            at_days=None if self.at_days is None else self.at_days[baskets],
            asked_days=None if self.asked_days is None else self.asked_days[users],
        )


class Cases(NamedTuple):
    """What is to be predicted: histories, and the basket that followed each."""

    histories: Baskets
    targets: Baskets

    def of_users(self, chosen: Ints) -> "Cases":
        """The cases with these indices."""
        return Cases(self.histories.of_users(chosen), self.targets.of_users(chosen))


def make_baskets(
    users: Ints, order: npt.NDArray[np.generic], items: Int32s, n_items: int, at_days: Floats | None = None
) -> Baskets:
    """Baskets of lines: one line per user, basket and item, in any order.

    `order` tells the baskets of a user apart and sorts them. Lines of one basket have one time. An item that
    a basket holds twice counts once.
    """
    if not len(items):
        raise ValueError("there must be at least one line of a basket, got none")
    _, order_rank = np.unique(order, return_inverse=True)
    by = np.lexsort((items, order_rank, users))
    user, rank, item = users[by], order_rank[by], items[by]
    new_user = np.append(True, user[1:] != user[:-1])
    new_basket = new_user | np.append(True, rank[1:] != rank[:-1])
    distinct = new_basket | np.append(True, item[1:] != item[:-1])
    user, item, new_user, new_basket = (each[distinct] for each in (user, item, new_user, new_basket))
    starts = np.flatnonzero(new_basket)
    return Baskets(
        users=user[new_user],
        user_starts=np.append(np.flatnonzero(new_user[starts]), len(starts)),
        starts=np.append(starts, len(item)),
        items=item.astype(np.int32),
        n_items=n_items,
        at_days=None if at_days is None else at_days[by][distinct][starts],
    )


def require_times(baskets: Baskets) -> Floats:
    """The times of the baskets in days; raises `ValueError` without them."""
    if baskets.at_days is None:
        raise ValueError("baskets must have times to be cut by time, got baskets without")
    return baskets.at_days


def spans(begins: Ints, lengths: Ints) -> Ints:
    """The numbers begin, begin + 1, ... of each span, one span after the other."""
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - (ends - lengths), lengths))


def offsets(lengths: Ints) -> Ints:
    """Where each of some runs begins, and where the last one ends."""
    return np.append(0, np.cumsum(lengths))
