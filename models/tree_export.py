"""Exporting boosted trees with one score as an ONNX model, whatever they rank."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from models.artefacts.trees import INPUT, OUTPUT, TOLERANCE, GoldenRows
from models.next_action.training import tree_table
from models.next_action.training.tree_table import TreeTable

if TYPE_CHECKING:
    import lightgbm

_OPSET, _IR = 18, 10
_GOLDEN_ROWS = 64


def export_trees(booster: "lightgbm.Booster", name: str) -> bytes:
    """The trees as a checked model, as of `export_table`."""
    trees = TreeTable(base=np.zeros(1))
    trees.add(booster, [0], np.ones(1))
    return export_table(trees, booster.num_feature(), name)


def export_table(trees: TreeTable, width: int, name: str) -> bytes:
    """A checked model with one sum: `features` float32 (rows, width) to `scores` (rows, 1)."""
    node = helper.make_node(tree_table.OPERATOR, [INPUT], [OUTPUT], domain=tree_table.DOMAIN)
    node.attribute.extend(trees.attributes())
    graph = helper.make_graph(
        [node],
        name,
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
    return bytes(model.SerializeToString())


def golden_rows(booster: "lightgbm.Booster", rows: npt.NDArray[np.float32]) -> GoldenRows:
    """Some of the rows (rows, features), evenly from all, with the scores that LightGBM gives them."""
    chosen = rows[:: max(1, len(rows) // _GOLDEN_ROWS)][:_GOLDEN_ROWS]
    scores = np.asarray(booster.predict(chosen), np.float32)
    return GoldenRows(chosen.tolist(), scores.tolist(), TOLERANCE)
