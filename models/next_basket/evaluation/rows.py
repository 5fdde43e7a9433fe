"""The models that are compared, by name, and the settings among which they choose."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec

from models.next_basket.basket2vec import Basket2Vec
from models.next_basket.cadence import Cadence
from models.next_basket.evaluation.comparison import Row
from models.next_basket.frequency import GPTopFreq, GTopFreq, PTopFreq
from models.next_basket.ranker import TreeRanker
from models.next_basket.repeat_list import RepeatList
from models.next_basket.tifuknn import TifuKnn
from models.next_basket.training.network import BasketRnn
from models.next_basket.transition import Transition
from models.next_basket.upcf import UpCf

_THREADS = os.cpu_count() or 1

ROWS: Mapping[str, Row] = {
    "G-TopFreq": Row(GTopFreq, is_list=True),
    "recent popularity": Row(partial(GTopFreq, newest=1), is_list=True),
    "P-TopFreq": Row(PTopFreq, is_list=True),
    "GP-TopFreq": Row(GPTopFreq, is_list=True),
    "GP-TopFreq, decay": Row(
        GPTopFreq, [{"basket_decay": decay} for decay in (0.98, 0.95, 0.9, 0.8, 0.6)], is_list=True
    ),
    "TIFUKNN": Row(TifuKnn),
    "UP-CF@r": Row(UpCf, [{"locality": power} for power in (1.0, 3.0, 10.0)]),
    "cadence": Row(Cadence),
    "repeats": Row(RepeatList),
    "transition": Row(Transition),
    "Basket2Vec": Row(Basket2Vec),
    "basket RNN": Row(BasketRnn),
    "tree ranker": Row(partial(TreeRanker, threads=_THREADS)),
    "tree ranker, served": Row(partial(TreeRanker, with_others=False, threads=_THREADS)),
    "tree ranker, RNN": Row(partial(TreeRanker, make_network=BasketRnn, threads=_THREADS)),
}


PEERS: Mapping[str, str] = {"item2vec (gensim)": "gensim"}
"""Rows of other libraries, with the module that each needs."""


def choose_rows(names: Sequence[str]) -> dict[str, Row]:
    """The rows with these names, or all that can run; raises `ValueError` for one that cannot."""
    known = [*ROWS, *PEERS]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"models must be of {', '.join(known)}, got {unknown[0]!r}")
    missing = missing_peers()
    absent = [name for name in names if name in missing]
    if absent:
        raise ValueError(f"{absent[0]} needs {PEERS[absent[0]]}, which is not installed")
    rows = dict(ROWS)
    if not missing:
        from models.next_basket.evaluation.peers import Item2Vec

        rows |= {name: Row(Item2Vec) for name in PEERS}
    return {name: row for name, row in rows.items() if not names or name in names}


def missing_peers() -> list[str]:
    """The rows whose library is not installed."""
    return [name for name, module in PEERS.items() if find_spec(module) is None]
