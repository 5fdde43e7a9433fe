"""Counts of items that a served ranker needs beside its trees: facts, and what follows each item."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import orjson

from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.description import popular_items
from models.next_basket.item_facts import ItemFacts

_FACTS = tuple(each.name for each in fields(ItemFacts))


@dataclass(slots=True)
class ItemCounts:
    """Sums over all customers, none of whom is named.

    What follows item i are `followers[starts[i] : starts[i + 1]]`, with the chance of each beside it.
    """

    item_ids: Sequence[str]
    facts: ItemFacts
    """With a row more, the last, for items that no basket has."""
    starts: Ints
    followers: npt.NDArray[np.int32]
    chances: npt.NDArray[np.float32]
    popular: Ints = field(init=False)
    """Candidates of everybody."""

    def __post_init__(self) -> None:
        """Sort once: it would take milliseconds of every request."""
        self.popular = popular_items(self.facts_of(self.n_items))

    @property
    def n_items(self) -> int:
        """Items with counts."""
        return len(self.item_ids)

    def following(self, history: Baskets) -> Floats:
        """The mean chance of each item after an item of the newest basket (n_items,), for one history."""
        found = np.zeros(history.n_items)
        newest = history.items[history.starts[-2] :]
        for item in newest[newest < self.n_items].tolist():
            span = slice(self.starts[item], self.starts[item + 1])
            found[self.followers[span]] += self.chances[span]
        return found / len(newest)

    def leader(self, newest: npt.NDArray[np.int32], item: int) -> int | None:
        """The item of the newest basket that `item` follows most often; None if it follows none."""
        best, found = 0.0, None
        for before in newest[newest < self.n_items].tolist():
            span = slice(self.starts[before], self.starts[before + 1])
            chance = float(self.chances[span][self.followers[span] == item].sum())
            if chance > best:
                best, found = chance, before
        return found

    def facts_of(self, n_items: int) -> ItemFacts:
        """Facts of so many items; those from `n_items` on are of items that no basket has."""
        more = n_items - self.n_items
        return ItemFacts(
            **{
                name: np.append(values[:-1], np.repeat(values[-1:], more))
                for name, values in self._facts().items()
            }
        )

    def encode(self) -> bytes:
        """A file of numpy arrays; the ids are JSON in one of them."""
        file = io.BytesIO()
        facts: dict[str, Any] = {name: values.astype(np.float32) for name, values in self._facts().items()}
        np.savez_compressed(
            file,
            item_ids=np.frombuffer(orjson.dumps(list(self.item_ids)), np.uint8),
            starts=self.starts,
            followers=self.followers,
            chances=self.chances,
            **facts,
        )
        return file.getvalue()

    def _facts(self) -> dict[str, Floats]:
        return {name: getattr(self.facts, name) for name in _FACTS}


def decode_counts(raw: bytes) -> ItemCounts:
    """The counts in a file; raises `ValueError` for anything else."""
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        counts = ItemCounts(
            item_ids=orjson.loads(arrays["item_ids"].tobytes()),
            facts=ItemFacts(**{name: arrays[name].astype(np.float64) for name in _FACTS}),
            starts=arrays["starts"],
            followers=arrays["followers"],
            chances=arrays["chances"],
        )
    except (OSError, KeyError, EOFError, ValueError, AttributeError, BadZipFile) as exc:
        raise ValueError("the file of counts is damaged: it is none that we wrote") from exc
    if len(counts.starts) != counts.n_items + 1 or counts.starts[-1] != len(counts.followers):
        raise ValueError("the file of counts is damaged: its parts have different lengths")
    return counts
