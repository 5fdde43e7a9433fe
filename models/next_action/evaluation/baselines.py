"""The rows of the table that are not networks."""

from functools import partial

from models.next_action.evaluation.chains import MarkovChain
from models.next_action.evaluation.contender import MakeContender
from models.next_action.evaluation.trees import BoostedTrees

TREES = "boosted-trees"
BASELINES: dict[str, MakeContender] = {
    "majority": partial(MarkovChain, 0),
    "markov-1": partial(MarkovChain, 1),
    "markov-2": partial(MarkovChain, 2),
    "markov-3": partial(MarkovChain, 3),
    TREES: BoostedTrees,
}
