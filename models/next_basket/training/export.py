"""A fitted ranker as an artefact: its trees in ONNX and their card."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper

from models.next_action.training import tree_table
from models.next_action.training.tree_table import TreeTable
from models.next_basket.baskets import Baskets
from models.next_basket.candidates import candidates_of
from models.next_basket.card import INPUT, OUTPUT, TOLERANCE, BasketCard, Golden
from models.next_basket.features import FEATURES
from models.next_basket.item_counts import ItemCounts
from models.next_basket.item_facts import ItemFacts
from models.next_basket.ranker import TreeRanker
from models.next_basket.transition import Transition

_OPSET, _IR = 18, 10
_GOLDEN_ROWS = 64


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
    model = to_onnx(ranker.booster).SerializeToString()
    columns = [FEATURES.index(name) for name in names]
    found = candidates_of(histories.of_users(np.arange(min(8, histories.n_users))), ranker.sources)
    step = max(1, len(found.key) // _GOLDEN_ROWS)
    rows = found.features[::step][:_GOLDEN_ROWS, columns]
    card = BasketCard(
        model_sha256=hashlib.sha256(model).hexdigest(),
        config=ranker.config(),
        training=dict(training),
        metrics=dict(metrics),
        libraries={"lightgbm": lightgbm.__version__, "onnx": onnx.__version__},
        licence=licence,
        features=tuple(names),
        golden=Golden(
            rows.tolist(), np.asarray(ranker.booster.predict(rows), np.float32).tolist(), TOLERANCE
        ),
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


def to_onnx(booster: lightgbm.Booster) -> onnx.ModelProto:
    """The trees as a checked model: `features` float32 (rows, features) to `scores` (rows, 1)."""
    trees = TreeTable(base=np.zeros(1))
    trees.add(booster, [0], np.ones(1))
    node = helper.make_node(tree_table.OPERATOR, [INPUT], [OUTPUT], domain=tree_table.DOMAIN)
    node.attribute.extend(trees.attributes())
    width = booster.num_feature()
    graph = helper.make_graph(
        [node],
        "next_basket",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", 1])],
    )
    model = helper.make_model(
        graph,
        ir_version=_IR,
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid(tree_table.DOMAIN, tree_table.VERSION),
        ],
    )
    onnx.checker.check_model(model, full_check=True)
    return model
