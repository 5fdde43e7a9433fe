"""Candidates of a ranker as rows of features: own items, popular ones, those that follow, neighbours'."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.description import FOLLOWING, describe, places_of, popular_items, stack_columns
from models.next_basket.features import UNKNOWN
from models.next_basket.pairs import pairs_of
from models.next_basket.sources import Sources, best_of_rows, values_at

NEIGHBOURS = 60


class Candidates(NamedTuple):
    """Rows of all users, in order of `key`."""

    key: Ints  # (rows,) user's index * n_items + item
    user: Ints  # (rows,)
    features: npt.NDArray[np.float32]  # (rows, features)


def candidates_of(histories: Baskets, sources: Sources) -> Candidates:
    """The candidates of each history with their features; what needs others is -1 if they are not asked."""
    facts = sources.facts
    if facts is None:
        raise ValueError("sources must be fitted before they are asked")
    n = np.int64(histories.n_items)
    pairs = pairs_of(histories)
    following = sources.transition.sparse_scores(histories)
    everybody = (np.arange(histories.n_users)[:, None] * n + popular_items(facts)).ravel()
    found = [everybody, best_of_rows(following, FOLLOWING), pairs.key]
    if sources.with_others:
        _, others = sources.tifuknn.parts(histories)
        upcf_own, upcf_others = sources.upcf.parts(histories)
        found += [best_of_rows(others, NEIGHBOURS), best_of_rows(upcf_others, NEIGHBOURS)]
    key = np.unique(np.concatenate(found))
    user, item = key // n, key % n
    columns = describe(histories, pairs, facts, values_at(following, key), key)
    if sources.with_others:
        columns["others_taste"] = values_at(others, key)
        columns["upcf_others"] = values_at(upcf_others, key)
        columns["upcf"] = values_at(upcf_own, key) + columns["upcf_others"]
        columns["mixed_taste"] = 0.7 * columns["taste"] + 0.3 * columns["others_taste"]
        columns["similarity"] = _similarity(sources, histories, user, item)
    columns |= _network(sources, histories, user, item)
    return Candidates(key, user, stack_columns(columns, len(key)))


def _similarity(sources: Sources, histories: Baskets, user: Ints, item: Ints) -> Floats:
    tastes = sources.vectors.tastes(histories)
    return np.asarray(np.einsum("rd,rd->r", tastes[user], sources.vectors.vectors[item]))


def _network(sources: Sources, histories: Baskets, user: Ints, item: Ints) -> dict[str, Floats]:
    """The network's score of each candidate and its place among them; -1 without a network."""
    if sources.network is None:
        unknown = np.full(len(user), UNKNOWN)
        return {"network": unknown, "network_place": unknown}
    scores = sources.network.scores(histories)[user, item].astype(np.float64)
    return {"network": scores, "network_place": places_of(scores, user)}
