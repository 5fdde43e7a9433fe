"""Candidates of a ranker as rows of features: own items, popular ones, those that follow, neighbours'."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.cadence import interval_share, mean_interval
from models.next_basket.features import FEATURES, UNKNOWN
from models.next_basket.frequency import days_before
from models.next_basket.pairs import Pairs, pairs_of, positions_of
from models.next_basket.sources import ItemFacts, Sources, best_of_rows, values_at

POPULAR, FOLLOWING, NEIGHBOURS = 150, 60, 60


class Candidates(NamedTuple):
    """Rows of all users, in order of `key`."""

    key: Ints  # (rows,) user's index * n_items + item
    user: Ints  # (rows,)
    features: npt.NDArray[np.float32]  # (rows, features)


def candidates_of(histories: Baskets, sources: Sources) -> Candidates:
    """The candidates of each history with their features."""
    facts = sources.facts
    if facts is None:
        raise ValueError("sources must be fitted before they are asked")
    n = np.int64(histories.n_items)
    pairs = pairs_of(histories)
    own, others = sources.tifuknn.parts(histories)
    upcf_own, upcf_others = sources.upcf.parts(histories)
    following = sources.transition.sparse_scores(histories)
    popular = np.argsort(-facts.recent, kind="stable")[:POPULAR]
    everybody = (np.arange(histories.n_users)[:, None] * n + popular).ravel()
    found = (everybody, best_of_rows(following, FOLLOWING), best_of_rows(others, NEIGHBOURS), pairs.key)
    key = np.unique(np.concatenate([*found, best_of_rows(upcf_others, NEIGHBOURS)]))
    user, item = key // n, key % n
    columns = {
        **_own(pairs, histories, key),
        "taste": values_at(own, key),
        "others_taste": values_at(others, key),
        "upcf_others": values_at(upcf_others, key),
        "upcf": values_at(upcf_own, key),
        "transition": values_at(following, key),
        "similarity": _similarity(sources, histories, user, item),
        **_item(facts, item),
        **{name: values[user] for name, values in _user(histories, pairs).items()},
    }
    columns["mixed_taste"] = 0.7 * columns["taste"] + 0.3 * columns["others_taste"]
    columns["upcf"] = columns["upcf"] + columns["upcf_others"]
    bought = columns["newest_age"] >= 0
    columns["due_by_item"] = np.where(bought, (columns["newest_age"] + 1) / columns["item_gap"], UNKNOWN)
    columns |= _network(sources, histories, user, item)
    features = np.column_stack([columns[name].astype(np.float32) for name in FEATURES])
    return Candidates(key, user, features)


def _own(pairs: Pairs, histories: Baskets, key: Ints) -> dict[str, Floats]:
    """What the history says of the item itself."""
    baskets = histories.counts()[pairs.key // histories.n_items]
    again = pairs.purchases > 1
    gap = np.where(again, mean_interval(pairs, np.zeros(len(pairs.key), bool)), UNKNOWN)
    has_times = pairs.newest_days >= 0
    days = np.where(again & has_times, mean_interval(pairs, has_times), UNKNOWN)
    of_pairs = {
        "count": pairs.purchases,
        "share": pairs.purchases / baskets,
        "newest_age": pairs.newest_age,
        "oldest_age": pairs.oldest_age,
        "recent_share": pairs.recent / np.minimum(baskets, 5),
        "decayed_share": pairs.decayed / ((1 - 0.9**baskets) / (1 - 0.9)),
        "mean_gap": gap,
        "last_gap": pairs.last_gap,
        "due": np.where(again, (pairs.newest_age + 1) / np.maximum(gap, 1e-3), UNKNOWN),
        "days_since": pairs.newest_days,
        "mean_days": days,
        "due_days": np.where(has_times, interval_share(pairs), UNKNOWN),
        "own_place": _places(pairs.decayed, pairs.key // histories.n_items),
    }
    at = positions_of(pairs.key, key)
    never = {"count": 0.0, "share": 0.0, "recent_share": 0.0, "decayed_share": 0.0}
    return {
        name: np.where(at >= 0, np.asarray(values, np.float64)[at], never.get(name, UNKNOWN))
        for name, values in of_pairs.items()
    }


def _item(facts: ItemFacts, item: Ints) -> dict[str, Floats]:
    popularity, recent = facts.popularity[item], facts.recent[item]
    return {
        "popularity": popularity,
        "recent_popularity": recent,
        "trend": np.log((recent + 1e-4) / (popularity + 1e-4)),
        "buyers": facts.buyers[item],
        "rebought": facts.rebought[item],
        "again": facts.again[item],
        "item_gap": facts.gap[item],
    }


def _user(histories: Baskets, pairs: Pairs) -> dict[str, Floats]:
    """Of each user."""
    counts, sizes = histories.counts(), histories.sizes()
    lines = np.add.reduceat(sizes, histories.user_starts[:-1])
    distinct = np.bincount(pairs.key // histories.n_items, minlength=histories.n_users)
    unknown = np.full(histories.n_users, UNKNOWN)
    since, interval = unknown, unknown
    if histories.at_days is not None:
        days = days_before(histories)
        oldest, newest = days[histories.user_starts[:-1]], days[histories.user_starts[1:] - 1]
        since, interval = newest, (oldest - newest) / np.maximum(counts - 1, 1)
    return {
        "baskets": counts.astype(np.float64),
        "mean_size": lines / counts,
        "newest_size": sizes[histories.user_starts[1:] - 1].astype(np.float64),
        "repeat_share": 1 - distinct / lines,
        "days_since_basket": since,
        "mean_basket_days": interval,
    }


def _similarity(sources: Sources, histories: Baskets, user: Ints, item: Ints) -> Floats:
    tastes = sources.vectors.tastes(histories)
    return np.asarray(np.einsum("rd,rd->r", tastes[user], sources.vectors.vectors[item]))


def _network(sources: Sources, histories: Baskets, user: Ints, item: Ints) -> dict[str, Floats]:
    """The network's score of each candidate and its place among them; -1 without a network."""
    if sources.network is None:
        unknown = np.full(len(user), UNKNOWN)
        return {"network": unknown, "network_place": unknown}
    scores = sources.network.scores(histories)[user, item].astype(np.float64)
    return {"network": scores, "network_place": _places(scores, user)}


def _places(values: Floats, user: Ints) -> Floats:
    """The place of each row among those of its user, 0 for the greatest value; users are in order."""
    order = np.lexsort((-values, user))
    begins = np.searchsorted(user, user[order])
    places = np.empty(len(values))
    places[order] = np.arange(len(values)) - begins
    return places
