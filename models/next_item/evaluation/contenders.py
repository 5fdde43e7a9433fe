"""All that is compared, by name and in the order of the table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from models.next_item.candidate_trees import CandidateTrees, read_trees
from models.next_item.evaluation.tuning import TunedNeighbours
from models.next_item.item_neighbours import ItemNeighbours
from models.next_item.linear import MOST_ITEMS, LinearTransitions
from models.next_item.live import LiveIndex, LiveNetwork, LiveRanker
from models.next_item.model import NextItemModel
from models.next_item.network import load, load_trained
from models.next_item.peers import implicit_als, implicit_bm25, implicit_cosine
from models.next_item.popularity import LastItem, Popularity, RecentPopularity, SessionItems
from models.next_item.ranking.candidates import POPULARITY_FEATURES
from models.next_item.ranking.model import RankedCandidates
from models.next_item.ranking.orders import BlendOrder, TreeOrder
from models.next_item.ranking.pool import CandidatePool
from models.next_item.session_neighbours import SKNN, STAN, V_SKNN, VSTAN, SessionNeighbours
from models.next_item.transitions import cooccurrence, last_cooccurrence, markov, sequential_rules

TUNED = "vstan"
"""The row whose settings are chosen on validation sessions."""
REFERENCE = "markov"
"""What the others are compared with if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the table."""

    make: Callable[[], NextItemModel]
    most_items: int | None = None
    """It needs too much memory for more."""
    package: str | None = None
    """What it needs of the extra [peers]."""
    describe: Callable[[], dict[str, Any]] = dict
    """What it has learnt to weigh, once it is fitted."""
    lacks: str | None = None
    """What it needs and does not have, whatever the data."""

    def obstacle(self, n_items: int) -> str | None:
        """Why it cannot take part; None: it can."""
        if self.lacks is not None:
            return self.lacks
        if self.package is not None and find_spec(self.package) is None:
            return f"needs {self.package}, extra [peers]"
        if self.most_items is not None and n_items > self.most_items:
            return f"takes up to {self.most_items:,} items, there are {n_items:,}"
        return None


CONTENDERS: Mapping[str, Contender] = {
    "popularity": Contender(Popularity),
    "recent-popularity": Contender(RecentPopularity),
    "session-items": Contender(SessionItems),
    "last-item": Contender(LastItem),
    REFERENCE: Contender(markov),
    "sequential-rules": Contender(sequential_rules),
    "cooccurrence-last": Contender(last_cooccurrence),
    "cooccurrence": Contender(cooccurrence),
    "item-knn-last": Contender(lambda: ItemNeighbours("item-knn-last")),
    "item-knn": Contender(lambda: ItemNeighbours("item-knn", decay=0.8)),
    "item-knn-markov": Contender(lambda: ItemNeighbours("item-knn-markov", decay=0.8, markov_weight=2.0)),
    "linear": Contender(LinearTransitions, most_items=MOST_ITEMS),
    "sknn": Contender(lambda: SessionNeighbours("sknn", SKNN)),
    "v-sknn": Contender(lambda: SessionNeighbours("v-sknn", V_SKNN)),
    "stan": Contender(lambda: SessionNeighbours("stan", STAN)),
    TUNED: Contender(lambda: SessionNeighbours(TUNED, VSTAN)),
    "live-index": Contender(LiveIndex),
    "implicit-cosine": Contender(implicit_cosine, package="implicit"),
    "implicit-bm25": Contender(implicit_bm25, package="implicit"),
    "implicit-als": Contender(implicit_als, package="implicit"),
}
TREES = "trees"
"""The candidates of `_neighbours` ranked anew."""
NETWORK, LIVE_NETWORK, LIVE_RANKER, BLEND, RANKER = (
    "network", "live-network", "live-ranker", "blend", "ranker"
)  # fmt: skip
TRAINED = (NETWORK, LIVE_NETWORK, LIVE_RANKER, BLEND, RANKER)
"""Rows that take long, as a session network is trained, unless there is one already: only on demand."""
NO_NEIGHBOURS, NO_POPULARITY = "ranker-no-neighbours", "ranker-no-popularity"
ABLATED = (NO_NEIGHBOURS, NO_POPULARITY)
"""The ranker without a part of what it has, only on demand; without its network it is the row `TREES`."""


def choose(names: Sequence[str], reference: str = "", network: Path | None = None) -> dict[str, Contender]:
    """The rows of these names, or all, in the order of the table; the reference always takes part.

    All are those of `TRAINED` too if a folder of a trained `network` is given. Raises `ValueError` for an
    unknown name and `ArtefactError` for a folder that cannot be read.
    """
    usual = [*CONTENDERS, TREES]
    known = [*usual, *TRAINED, *ABLATED]
    unknown = [name for name in (*names, reference) if name and name not in known]
    if unknown:
        raise ValueError(f"models must be among {', '.join(known)}, got {', '.join(unknown)}")
    wanted = {*(names or (usual if network is None else [*usual, *TRAINED])), reference or REFERENCE}
    rows = dict(CONTENDERS)
    neighbours = _neighbours()
    if TREES in wanted:
        rows[TREES] = _reordered(CandidatePool(neighbours), TreeOrder())
    if wanted & {*TRAINED, *ABLATED}:
        trees = None if network is None else read_trees(network, load(network).card)
        rows |= _trained(_network(network), trees, neighbours)
    return {name: contender for name, contender in rows.items() if name in wanted}


def _trained(
    network: NextItemModel, trees: CandidateTrees | None, neighbours: Sequence[NextItemModel]
) -> dict[str, Contender]:
    """The rows around one network, and one pool of candidates, that fit once."""
    pool = CandidatePool([network, *neighbours])
    return {
        NETWORK: Contender(lambda: network),
        LIVE_NETWORK: Contender(lambda: LiveNetwork(network)),
        LIVE_RANKER: _live_ranker(network, trees),
        BLEND: _reordered(pool, BlendOrder()),
        RANKER: _reordered(pool, TreeOrder()),
        NO_POPULARITY: _reordered(pool, TreeOrder(without=POPULARITY_FEATURES)),
        NO_NEIGHBOURS: _reordered(CandidatePool([network]), TreeOrder()),
    }


def _neighbours() -> list[NextItemModel]:
    """What both pools have, the same objects: the settings of VSTAN are looked for once."""
    others = "item-knn-markov", "cooccurrence", "sequential-rules"
    return [TunedNeighbours(), *(CONTENDERS[name].make() for name in others)]


def _live_ranker(network: NextItemModel, trees: CandidateTrees | None) -> Contender:
    if trees is None:
        return Contender(lambda: network, lacks="needs --network with a folder that has a ranker")
    return Contender(lambda: LiveRanker(network, trees))


def _reordered(pool: CandidatePool, order: BlendOrder | TreeOrder) -> Contender:
    return Contender(lambda: RankedCandidates(pool, order), describe=order.importance)


def _network(folder: Path | None) -> NextItemModel:
    if folder is not None:
        return load_trained(folder)
    from models.next_item.training.contender import NetworkModel
    from models.next_item.training.net_config import FitConfig, NetConfig

    return NetworkModel(NetConfig(), FitConfig())
