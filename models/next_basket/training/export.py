"""A fitted ranker as an artefact: its trees in ONNX and their card."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np
import onnx

from models.next_basket.baskets import Baskets
from models.next_basket.candidates import candidates_of
from models.next_basket.card import BasketCard
from models.next_basket.features import FEATURES
from models.next_basket.item_counts import ItemCounts
from models.next_basket.item_facts import ItemFacts
from models.next_basket.ranker import TreeRanker
from models.next_basket.transition import Transition
from models.tree_export import export_trees, golden_rows


def export_ranker(
    ranker: TreeRanker,
    histories: Baskets,
    item_ids: Sequence[str],
    *,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    licence: str,
) -> tuple[bytes, BasketCard, bytes]:
    """The ONNX model, its sealed card and the counts of `histories`, all that are known.

    Golden rows are candidates of some of them; `item_ids` are by code. Raises `ValueError` for a ranker that
    was not fitted, or reads what a request cannot tell.
    """
    if ranker.booster is None or ranker.sources is None:
        raise ValueError("a ranker must be fitted before it is exported")
    if ranker.sources.with_others:
        raise ValueError("a ranker must be made without others to be exported, this one compares histories")
    counts = counts_of(histories, item_ids, ranker.sources.transition).encode()
    names = ranker.booster.feature_name()
    model = export_trees(ranker.booster, "next_basket")
    columns = [FEATURES.index(name) for name in names]
    found = candidates_of(histories.of_users(np.arange(min(8, histories.n_users))), ranker.sources)
    card = BasketCard(
        model_sha256=hashlib.sha256(model).hexdigest(),
        config=ranker.config(),
        training=dict(training),
        metrics=dict(metrics),
        libraries={"lightgbm": lightgbm.__version__, "onnx": onnx.__version__},
        licence=licence,
        features=tuple(names),
        golden=golden_rows(ranker.booster, found.features[:, columns]),
        counts_sha256=hashlib.sha256(counts).hexdigest(),
    )
    return model, card.sealed(), counts


def counts_of(known: Baskets, item_ids: Sequence[str], transition: Transition) -> ItemCounts:
    """What a served ranker reads of items."""
    chances = transition.chances
    return ItemCounts(
        item_ids=item_ids,
        facts=ItemFacts.of(known._replace(n_items=known.n_items + 1)),
        starts=np.asarray(chances.indptr, np.int64),
        followers=np.asarray(chances.indices, np.int32),
        chances=np.asarray(chances.data, np.float32),
    )
