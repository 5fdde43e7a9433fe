"""Boosted trees as the arrays of ONNX's TreeEnsemble.

Straight from LightGBM's dump. The usual converter, onnxmltools, writes an operator that ONNX has deprecated
and that takes more bytes, and it rounds thresholds to the nearest float32, so that a value at one of them may
go the other way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    import lightgbm as lgb

Floats = npt.NDArray[np.float64]

DOMAIN, OPERATOR, VERSION = "ai.onnx.ml", "TreeEnsemble", 5
_LESS_OR_EQUAL = 0
_SUM = 1


@dataclass(slots=True)
class TreeTable:
    """The inner nodes and the leaves of trees. What they add up to, one sum per target, begins at `base`.

    A case whose `feature` is at most `threshold` goes on at the node `below`, or ends in that leaf where
    `below_is_leaf`; any other goes `above`.
    """

    base: Floats  # (targets,)
    roots: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    below_is_leaf: list[int] = field(default_factory=list)
    above: list[int] = field(default_factory=list)
    above_is_leaf: list[int] = field(default_factory=list)
    leaf_target: list[int] = field(default_factory=lambda: [0, 0])
    leaf_value: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """No case ends in the first two. They keep the number of every leaf above that of its root's next node:
    older onnxruntimes take a root with a leaf and a node of one number for a leaf (issue 24679 there)."""

    def add(self, booster: "lgb.Booster", targets: Sequence[int], factors: Floats) -> None:
        """Add the trees of a model that goes round these targets, each times the factor of its target.

        Trees with the factor 0 are left out. Raises `ValueError` for a split that is not by number.
        """
        for index, tree in enumerate(booster.dump_model()["tree_info"]):
            target = targets[index % len(targets)]
            if factors[target] != 0.0:
                self.add_tree(tree["tree_structure"], target, float(factors[target]))

    def add_tree(self, root: dict[str, Any], target: int, factor: float = 1.0) -> None:
        """Add one tree as LightGBM dumps it."""
        if "split_feature" in root:
            self.roots.append(self._add_node(root, target, factor))
        else:
            self.base[target] += factor * root["leaf_value"]

    def attributes(self) -> list[onnx.AttributeProto]:
        """What the operator is made of."""
        values: dict[str, Any] = {
            "aggregate_function": _SUM,
            "n_targets": len(self.base),
            "tree_roots": self.roots,
            "nodes_featureids": self.feature,
            "nodes_splits": numpy_helper.from_array(round_down(np.array(self.threshold))),
            "nodes_modes": numpy_helper.from_array(np.full(len(self.feature), _LESS_OR_EQUAL, np.uint8)),
            "nodes_truenodeids": self.below,
            "nodes_trueleafs": self.below_is_leaf,
            "nodes_falsenodeids": self.above,
            "nodes_falseleafs": self.above_is_leaf,
            "leaf_targetids": self.leaf_target,
            "leaf_weights": numpy_helper.from_array(np.array(self.leaf_value, np.float32)),
        }
        return [helper.make_attribute(name, value) for name, value in values.items()]

    def _add_node(self, node: dict[str, Any], target: int, factor: float) -> int:
        if node["decision_type"] != "<=":
            raise ValueError(f"a tree splits by {node['decision_type']!r}, not by number")
        place = len(self.feature)
        self.feature.append(node["split_feature"])
        self.threshold.append(node["threshold"])
        for column in (self.below, self.below_is_leaf, self.above, self.above_is_leaf):
            column.append(0)
        for child, own, is_leaf in (
            (node["left_child"], self.below, self.below_is_leaf),
            (node["right_child"], self.above, self.above_is_leaf),
        ):
            if "split_feature" in child:
                own[place] = self._add_node(child, target, factor)
            else:
                own[place], is_leaf[place] = len(self.leaf_value), 1
                self.leaf_target.append(target)
                self.leaf_value.append(factor * child["leaf_value"])
        return place


def round_down(thresholds: Floats) -> npt.NDArray[np.float32]:
    """The largest float32 not above each: every float32 is on the same side of it."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    above = rounded.astype(np.float64) > thresholds
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded
