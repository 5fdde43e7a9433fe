"""All that is compared, by name and in the order of the table."""

from collections.abc import Sequence
from functools import partial

from models.next_action.evaluation.chains import MarkovChain
from models.next_action.evaluation.contender import MakeContender
from models.next_action.evaluation.trees import BoostedTrees
from models.next_action.training.contender import NetContender
from models.next_action.training.net_config import NET_KINDS

TREES = "boosted-trees"
BASELINES: dict[str, MakeContender] = {
    "majority": partial(MarkovChain, 0),
    "markov-1": partial(MarkovChain, 1),
    "markov-2": partial(MarkovChain, 2),
    "markov-3": partial(MarkovChain, 3),
    TREES: BoostedTrees,
}
NETS: dict[str, MakeContender] = {kind.replace("_", "-"): partial(NetContender, kind) for kind in NET_KINDS}
NETS["cnn-bigru-ids"] = partial(NetContender, "cnn_bigru", embeddings=True)
CONTENDERS: dict[str, MakeContender] = {**BASELINES, **NETS}
REFERENCES = ("cnn-bigru", TREES)
"""What the others are compared with if nothing else is said: the first of these that takes part."""


def choose(names: Sequence[str]) -> dict[str, MakeContender]:
    """The contenders of these names in the order of the table, all for no names; raises `ValueError`."""
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise ValueError(f"models must be among {', '.join(CONTENDERS)}, got {', '.join(unknown)}")
    return {name: make for name, make in CONTENDERS.items() if not names or name in names}


def choose_reference(name: str, taking_part: Sequence[str]) -> str:
    """The row that the others are compared with; raises `ValueError` if `name` does not take part."""
    if name and name not in taking_part:
        raise ValueError(f"reference must be among {', '.join(taking_part)}, got {name}")
    return name or next((known for known in REFERENCES if known in taking_part), taking_part[-1])
