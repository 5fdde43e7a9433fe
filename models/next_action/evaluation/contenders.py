"""All that is compared, by name and in the order of the table."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from models.next_action.evaluation.chains import MarkovChain
from models.next_action.evaluation.contender import Row
from models.next_action.evaluation.linear import LinearModel
from models.next_action.evaluation.trees import BoostedTrees
from models.next_action.training.contender import NetContender
from models.next_action.training.net_config import NET_KINDS

_Settings = tuple[Mapping[str, Any], ...]
# Four settings each, the first of them what `storepulse train` uses.
_CHAIN: _Settings = tuple({"prior_cases": cases} for cases in (10.0, 3.0, 30.0, 100.0))
_LINEAR: _Settings = tuple({"penalty": penalty} for penalty in (1e-3, 1e-4, 3e-3, 1e-2))
_TREES: _Settings = (
    {},
    {"num_leaves": 7, "min_data_in_leaf": 100},
    {"feature_fraction": 0.2},
    {"num_leaves": 31, "feature_fraction": 0.2, "lambda_l2": 20.0},
)
_STRONG, _FAST = {"dropout": 0.4, "feature_dropout": 0.2}, {"learning_rate": 2e-3}
_NET: _Settings = (
    {},
    {"net": _STRONG},
    {"fit": _FAST},
    {"net": _STRONG, "fit": _FAST},
)

LINEAR, TREES, NET, BLEND = "linear", "boosted-trees", "cnn-bigru", "blend"
ROWS: dict[str, Row] = {
    "majority": Row(partial(MarkovChain, 0), seeded=False),
    **{f"markov-{n}": Row(partial(MarkovChain, n), _CHAIN, seeded=False) for n in (1, 2, 3)},
    f"{LINEAR}-no-rates": Row(LinearModel, _LINEAR, seeded=False, reads_rates=False),
    LINEAR: Row(LinearModel, _LINEAR, seeded=False),
    f"{TREES}-no-rates": Row(BoostedTrees, _TREES, reads_rates=False),
    TREES: Row(BoostedTrees, _TREES),
    **{kind.replace("_", "-"): Row(partial(NetContender, kind), _NET) for kind in NET_KINDS},
    f"{NET}-no-rates": Row(partial(NetContender, "cnn_bigru"), _NET, reads_rates=False),
    f"{NET}-ids": Row(partial(NetContender, "cnn_bigru", embeddings=True), _NET),
}
BLENDS: dict[str, tuple[str, str]] = {BLEND: (NET, TREES)}
"""Rows that blend two others."""
REFERENCES = (NET, TREES)
"""What the others are compared with if nothing else is said: the first of these that takes part."""


def choose(names: Sequence[str]) -> tuple[dict[str, Row], dict[str, tuple[str, str]]]:
    """The rows of these names and of what they blend, in the order of the table, and the blends among them.

    No names are all names.

    Raises `ValueError` for an unknown name.
    """
    known = [*ROWS, *BLENDS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"models must be among {', '.join(known)}, got {', '.join(unknown)}")
    wanted = {*(names or known)}
    blends = {name: parts for name, parts in BLENDS.items() if name in wanted}
    wanted.update(part for parts in blends.values() for part in parts)
    return {name: row for name, row in ROWS.items() if name in wanted}, blends


def choose_reference(name: str, taking_part: Sequence[str]) -> str:
    """The row that the others are compared with; raises `ValueError` if `name` does not take part."""
    if name and name not in taking_part:
        raise ValueError(f"reference must be among {', '.join(taking_part)}, got {name}")
    return name or next((known for known in REFERENCES if known in taking_part), taking_part[-1])
