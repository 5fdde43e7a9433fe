"""Lists that were made as visitors acted, and stand in where a process cannot rank yet."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from contracts.recommendations import RECOMMENDATIONS
from contracts.sessions import BOUGHT
from contracts.snapshots import Snapshot
from models.recommendation.answer import Reason, Recommendation, RecommendedItem
from models.recommendation.catalogue import CatalogueView
from models.recommendation.request import RecommendationRequest, Scenario
from models.recommendation.rules import RuleBook, Variety
from models.recommendation.sources.source import Candidate
from readers.catalogue import read_products
from readers.reader import Reader
from readers.recommendations.live import Ranked
from readers.snapshots import read_snapshots
from readers.stream_time import StreamTime
from readers.unreadable import UNREADABLE


class StoredList(NamedTuple):
    """What was ranked for a visitor, and for whom: `customer_id` was logged in, empty for nobody.

    `made_ms` (epoch ms) and `epoch` are those of the snapshot.
    """

    ranked: Ranked
    customer_id: str
    made_ms: int
    epoch: int

    @property
    def product_ids(self) -> Sequence[str]:
        """In their order."""
        return [item.product_id for item in self.ranked.found.items]

    def says_the_same(self, ranked: Ranked, customer_id: str) -> bool:
        """Whether it has the products of another list in the same order, for the same customer."""
        same_products = self.product_ids == [item.product_id for item in ranked.found.items]
        return same_products and customer_id == self.customer_id


def to_value(ranked: Ranked, customer_id: str) -> dict[str, Any]:
    """A list as plain values, the value of its snapshot."""
    found = ranked.found
    return {
        "as_of_ms": ranked.time.as_of_ms,
        "mode": ranked.time.mode,
        "customer_id": customer_id,
        "tried": found.tried,
        "arm": ranked.arm,
        "model": ranked.version,
        "items": [
            (item.product_id, item.score, item.source, item.reason.code, dict(item.reason.params))
            for item in found.items
        ],
    }


async def read_stored(reader: Reader, visitor_id: str) -> StoredList | None:
    """The newest list of a visitor; None where there is none that can be read. Raises `redis.RedisError`."""
    (snapshot,) = await read_snapshots(reader, RECOMMENDATIONS, [visitor_id])
    try:
        return None if snapshot is None else _from_snapshot(snapshot)
    except (KeyError, TypeError, ValueError) as exc:
        UNREADABLE.note("a list of recommendations", exc)
        return None


def _from_snapshot(snapshot: Snapshot) -> StoredList:
    fields: Mapping[str, Any] = snapshot.value
    items = tuple(
        RecommendedItem(product_id, score, source, Reason(code, params))
        for product_id, score, source, code, params in fields["items"]
    )
    if not items:
        raise ValueError("it has no products")
    found = Recommendation(items, Scenario.FOR_YOU, items[0].source, tuple(fields["tried"]))
    ranked = Ranked(found, StreamTime(fields["as_of_ms"], fields["mode"]), fields["arm"], fields["model"])
    return StoredList(ranked, fields["customer_id"], snapshot.made_ms, snapshot.epoch)


async def read_facts_of(reader: Reader, product_ids: Sequence[str]) -> CatalogueView:
    """What the shop told of these products, and nothing else. Raises `redis.RedisError`."""
    catalogue = CatalogueView()
    for product_id, known in (await read_products(reader, product_ids)).items():
        catalogue.tell(product_id, known.facts)
    return catalogue


def complete(
    stored: Ranked, catalogue: CatalogueView, request: RecommendationRequest
) -> Recommendation | None:
    """A stored list under the rules of a request, without what the visitor has bought since.

    None if nothing is left: those who rank anew know of other products.
    """
    rules, variety = RuleBook(catalogue, request), Variety(catalogue, request)
    bought = {
        step.product_id for step in request.prefix if step.mask & BOUGHT and step.at_ms > stored.time.as_of_ms
    }
    kept: list[RecommendedItem] = []
    for _, of_source in groupby(stored.found.items, attrgetter("source")):  # scores compare within one
        items = {item.product_id: item for item in of_source}
        scored = [Candidate(item.product_id, item.score) for item in items.values()]
        kept += [
            items[product_id]._replace(score=score)
            for product_id, score in rules.order(scored, is_ordered=True)
            if product_id not in bought and rules.allows(product_id) and variety.takes(product_id)
        ]
    if not kept:
        return None
    return stored.found._replace(items=tuple(kept[: request.limit]), answered_by=kept[0].source)
