"""A ranker as it is served: one history in, likely items out. It needs no scipy, and no other customer."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.artefacts import card as artefacts
from models.artefacts.card import CARD_FILE, MODEL_FILE, ArtefactError
from models.next_basket.baskets import Baskets, Ints, make_baskets
from models.next_basket.card import BasketCard, TreeScorer, decode_card
from models.next_basket.description import FOLLOWING, describe, stack_columns
from models.next_basket.features import NEED_OTHERS
from models.next_basket.item_counts import ItemCounts, decode_counts
from models.next_basket.pairs import pairs_of

COUNTS_FILE = "counts.npz"


class Ranked(NamedTuple):
    """An item and its score. `after` is the item of the newest basket that it follows most, if any."""

    product_id: str
    score: float
    after: str | None


class ServedRanker:
    """Trees and the counts that they read."""

    def __init__(self, scorer: TreeScorer, counts: ItemCounts) -> None:
        self.card = scorer.card
        self._scorer = scorer
        self._counts = counts
        self._codes = {item_id: code for code, item_id in enumerate(counts.item_ids)}

    @property
    def version(self) -> str:
        """That of the card."""
        return self._scorer.version

    def rank(
        self, baskets: Sequence[Sequence[str]], ages_days: Sequence[float] | None, limit: int
    ) -> list[Ranked]:
        """The likeliest items of the next basket, the likeliest first.

        `baskets` have the newest first, each with an item at least; `ages_days` are their times before the
        moment of asking, None: unknown. Scores tell the order and nothing else.
        """
        history, names = self._encode(baskets, ages_days)
        key, features = candidates_of_one(history, self._counts)
        scores = self._scorer.scores(features)
        best = np.lexsort((key, -scores))[:limit]
        newest = history.items[history.starts[-2] :]
        leaders = [self._counts.leader(newest, item) for item in key[best].tolist()]
        return [
            Ranked(names[item], score, None if leader is None else names[leader])
            for item, score, leader in zip(key[best].tolist(), scores[best].tolist(), leaders, strict=True)
        ]

    def _encode(
        self, baskets: Sequence[Sequence[str]], ages_days: Sequence[float] | None
    ) -> tuple[Baskets, Sequence[str]]:
        """The history, and the names of its items; those without counts get codes behind the others."""
        new: dict[str, int] = {}
        codes, orders, at_days = [], [], []
        for place, basket in enumerate(baskets):
            for item_id in basket:
                code = self._codes.get(item_id)
                if code is None:
                    code = new.setdefault(item_id, self._counts.n_items + len(new))
                codes.append(code)
                orders.append(-place)
                at_days.append(0.0 if ages_days is None else -ages_days[place])
        history = make_baskets(
            np.zeros(len(codes), np.int64),
            np.array(orders),
            np.array(codes, np.int32),
            self._counts.n_items + len(new),
            None if ages_days is None else np.array(at_days),
        )
        if ages_days is not None:
            history = history._replace(asked_days=np.zeros(1))
        return history, [*self._counts.item_ids, *new] if new else self._counts.item_ids


def candidates_of_one(history: Baskets, counts: ItemCounts) -> tuple[Ints, npt.NDArray[np.float32]]:
    """The candidates of one history and their features, as `candidates_of` makes them without others."""
    pairs = pairs_of(history)
    facts = counts.facts_of(history.n_items)
    chances = counts.following(history)
    following = np.flatnonzero(chances)
    if len(following) > FOLLOWING:
        following = following[np.argpartition(-chances[following], FOLLOWING)[:FOLLOWING]]
    key = np.unique(np.concatenate([counts.popular, following, pairs.key]))
    return key, stack_columns(describe(history, pairs, facts, chances[key], key), len(key))


def load(folder: Path) -> ServedRanker:
    """The ranker in a folder, checked; raises `ArtefactError`."""
    model, card = artefacts.read_artefact(folder, decode_card)
    try:
        raw = (folder / COUNTS_FILE).read_bytes()
    except OSError as exc:
        raise ArtefactError(f"{folder} has no readable {COUNTS_FILE}: {exc}") from exc
    return make_served(model, card, raw)


def make_served(model: bytes, card: BasketCard, raw_counts: bytes) -> ServedRanker:
    """The ranker of the parts of an artefact; raises `ArtefactError`."""
    if hashlib.sha256(raw_counts).hexdigest() != card.counts_sha256:
        raise ArtefactError(f"{COUNTS_FILE} does not belong to {CARD_FILE}: the SHA-256 differs")
    if unserved := NEED_OTHERS.intersection(card.features):
        raise ArtefactError(f"{MODEL_FILE} reads what no request has: {', '.join(sorted(unserved))}")
    try:
        return ServedRanker(TreeScorer(model, card), decode_counts(raw_counts))
    except ArtefactError:
        raise
    except ValueError as exc:
        raise ArtefactError(str(exc)) from exc
