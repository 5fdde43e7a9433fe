"""The catalogue in a worker, on both stores: what stands in whatever order, its indexes and its limits."""

import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest
import redis.asyncio as redis
from hypothesis import given
from hypothesis import strategies as st

from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.product_records import ProductUpdate, encode_product
from contracts.products import Amount, KnownProduct, Product, unpack_product
from contracts.settings import Settings
from memory_worker import LogRecord, MemoryLog, MemoryWorker
from shoppers import NOW_MS
from stream.batch.entries import Clock
from stream.batch.records import UnreadableRecord
from stream.batch.result import Change
from stream.components.catalogue import component
from stream.components.catalogue.component import Catalogue, CatalogueState
from stream.components.component import Source, TopicRecords
from stream.registry import product_registry
from stream.state.memory_store import MemoryStore
from stream.state.redis_store import RedisStore
from stream.state.store import Store

SETTINGS = Settings(partitions=2, scoring=False, catalogue_products=3)
DAY_MS = 86_400_000


class Shop:
    """A worker that reads products from a log in memory into a store of either kind."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log = MemoryLog(SETTINGS.partitions)
        self.start_worker()

    def start_worker(self) -> None:
        """The next owner of all partitions."""
        self.worker = MemoryWorker(SETTINGS, product_registry(SETTINGS), self.log, self.store)

    async def tell(self, product_id: str, at_ms: int = NOW_MS, **facts: Any) -> None:
        """A record, which is applied."""
        record = orjson.dumps({"product_id": product_id, **facts})
        self.log.append("products", product_id, record, at_ms)
        await self.worker.read()

    async def known(self, product_id: str) -> KnownProduct | None:
        """What is stored of a product."""
        p = partition_of(product_id, SETTINGS.partitions)
        (blob,) = (await self.store.read_blobs({p: ["product:" + product_id]}))[p]
        assert blob is None or isinstance(blob, bytes)
        return None if blob is None else unpack_product(blob)

    async def index(self, key: str) -> dict[str, int]:
        """An index of all partitions."""
        found = await self.store.lowest(key, range(SETTINGS.partitions), 100)
        return {member: score for pairs in found.values() for member, score in pairs}

    async def counted(self) -> list[str]:
        """Records that were taken and rejected, partition by partition."""
        pages = await self.store.read_fields(
            {p: ("meta", ["rejected", "products"]) for p in range(SETTINGS.partitions)}
        )
        return [f"{page.get('products', 0)} {page.get('rejected', 0)}" for page in pages.values()]


@pytest.fixture(params=["memory", "redis"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    keys = Keys(f"t{id(request)}", SETTINGS.partitions)
    if request.param == "memory":
        yield Shop(MemoryStore(keys))
        return
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    yield Shop(RedisStore(client, keys))
    left = [key async for key in client.scan_iter(match=f"{keys.namespace}:*")]
    if left:
        await client.unlink(*left)
    await client.aclose()


async def test_a_record_changes_what_it_names_and_the_indexes_follow(shop: Shop) -> None:
    await shop.tell("p1", title="Mug", price=9.5, categories=["Kitchen", "Gifts"], stock=3)
    await shop.tell("p2", NOW_MS + 1, categories=["Gifts"])
    await shop.tell("p1", NOW_MS + 2, stock=None, categories=["Kitchen", "New"])
    known = await shop.known("p1")
    assert known is not None
    assert known.facts == Product("Mug", Amount(950, "EUR"), categories=("Kitchen", "New"))
    assert (known.updated_ms, known.changed_ms) == (NOW_MS + 2, NOW_MS + 2)
    assert await shop.index("catalogue_ids") == {"p1": 0, "p2": 0}
    assert await shop.index("catalogue_changed") == {"p1": NOW_MS + 2, "p2": NOW_MS + 1}
    assert await shop.index("category_products:Gifts") == {"p2": 0}
    assert await shop.index("category_products:New") == {"p1": 0}

    await shop.tell("p1", NOW_MS + 3, title="Mug")
    assert (await shop.index("catalogue_changed"))["p1"] == NOW_MS + 2, "it says what was known"
    await shop.tell("p1", NOW_MS + 4, deleted=True)
    shop.log.records["products", partition_of("p2", 2)].append(
        LogRecord(len(shop.log.records["products", partition_of("p2", 2)]), NOW_MS + 5, b"p2", None)  # type: ignore[arg-type]
    )
    await shop.worker.read()
    assert (await shop.known("p1"), await shop.known("p2")) == (None, None)
    for key in ("catalogue_ids", "catalogue_changed", "category_products:Kitchen", "category_products:Gifts"):
        assert await shop.index(key) == {}


async def test_the_next_owner_knows_what_was_removed_and_how_many_there_are(shop: Shop) -> None:
    home = [id_ for id_ in map(str, range(40)) if partition_of(id_, 2) == 1][:5]
    for number, id_ in enumerate(home[:4]):
        await shop.tell(id_, NOW_MS + number, stock=number)
    assert await shop.known(home[3]) is None, "a partition keeps three"
    await shop.tell(home[0], NOW_MS + 9, deleted=True)
    shop.start_worker()
    await shop.tell(home[0], NOW_MS + 10, updated_at=NOW_MS + 8, stock=7)
    assert await shop.known(home[0]) is None, "what is older than its removal does not bring it back"
    await shop.tell(home[3], NOW_MS + 11, stock=3)
    assert await shop.known(home[3]) is not None, "there is room again"
    await shop.tell(home[4], NOW_MS + 12, stock=4)
    assert await shop.known(home[4]) is None
    await shop.tell(home[1], NOW_MS + 3, stock=8)
    state = shop.worker.assignment.partitions[1].states["catalogue"]
    assert state.n_products == 3
    assert (await shop.index("catalogue_changed"))[home[1]] == NOW_MS + 11, "changes never go back"
    assert (await shop.counted())[1] == "7 2"


async def test_what_breaks_a_rule_is_a_dead_letter_and_its_neighbours_go_through(shop: Shop) -> None:
    shop.log.append("products", "p1", b'{"product_id": "p1", "stock": -1}', NOW_MS)
    shop.log.append("products", "p1", b'{"product_id": "p2", "stock": 1}', NOW_MS)
    elsewhere = next(id_ for id_ in "abcdef" if partition_of(id_, 2) != partition_of("p1", 2))
    shop.log.records["products", partition_of("p1", 2)].append(
        LogRecord(2, NOW_MS, elsewhere.encode(), orjson.dumps({"product_id": elsewhere}))
    )
    await shop.tell("p1", stock=2)
    known = await shop.known("p1")
    assert known is not None
    assert known.facts.stock == 2
    assert (await shop.counted())[partition_of("p1", 2)] == "1 3"


# -- the pure steps ----------------------------------------------------------------------------------------


def apply(updates: Sequence[ProductUpdate], rng: random.Random | None = None) -> dict[str, Product]:
    """Facts after updates in this order, in commits of a few records each."""
    catalogue, state = Catalogue(Settings(partitions=1)), CatalogueState()
    values: dict[str, KnownProduct | None] = {}
    start = 0
    while start < len(updates):
        size = 1 if rng is None else rng.randint(1, 4)
        state = apply_records(catalogue, state, values, start, updates[start : start + size])
        start += size
    assert state.n_products == len({id_ for id_, known in values.items() if known is not None})
    return {id_: known.facts for id_, known in values.items() if known is not None}


def apply_records(
    catalogue: Catalogue,
    state: CatalogueState,
    values: dict[str, KnownProduct | None],
    first: int,
    updates: Sequence[ProductUpdate],
) -> CatalogueState:
    records = [
        LogRecord(first + number, NOW_MS, update.product_id.encode(), encode_product(update))
        for number, update in enumerate(updates)
    ]
    items = catalogue.read(records, Source("products", 0, NOW_MS + DAY_MS))
    known = {id_: values.get(id_) for id_ in catalogue.record_subjects(items)}
    change: Change = catalogue.apply_records(state, TopicRecords(items, Clock(0, 0), known, None))
    values.update(change.values)
    after = change.state
    assert isinstance(after, CatalogueState)
    return after


FACTS = st.fixed_dictionaries(
    {}, optional={"stock": st.none() | st.integers(0, 3), "title": st.sampled_from("abc")}
)
UPDATES = st.lists(
    st.tuples(st.sampled_from(["p1", "p2"]), FACTS, st.sampled_from([False, False, True])),
    min_size=1,
    max_size=10,
)


@given(told=UPDATES, seed=st.integers(0, 9))
def test_the_order_in_which_records_arrive_makes_no_difference(told: list[Any], seed: int) -> None:
    updates = [
        ProductUpdate(id_, NOW_MS - len(told) + number, {} if removes else facts, removes)
        for number, (id_, facts, removes) in enumerate(told)
    ]
    rng = random.Random(seed)
    shuffled = rng.sample(updates, len(updates))
    assert apply(shuffled, rng) == apply(updates)


def test_of_two_values_of_one_moment_the_later_in_the_topic_wins() -> None:
    first, second = (ProductUpdate("p1", NOW_MS, {"stock": stock}) for stock in (1, 2))
    assert apply([first, second])["p1"].stock == 2
    assert apply([ProductUpdate("p1", NOW_MS, removes=True), first])["p1"].stock == 1


def test_removals_are_known_for_a_time_and_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component, "MOST_REMOVED", 2)
    catalogue, values = Catalogue(Settings(partitions=1)), dict[str, KnownProduct | None]()
    state = CatalogueState()
    for number, id_ in enumerate("abc"):
        state = apply_records(
            catalogue, state, values, number, [ProductUpdate(id_, NOW_MS - 10 + number, removes=True)]
        )
    assert sorted(state.removed) == ["b", "c"]
    state = state._replace(changed_ms=NOW_MS + component.REMOVED_MS + 1)
    state = apply_records(catalogue, state, values, 3, [ProductUpdate("d", NOW_MS, {"stock": 1})])
    assert state.removed == {}


def test_an_unreadable_record_removes_nothing() -> None:
    source = Source("products", 0, NOW_MS)
    (item,) = Catalogue(Settings(partitions=1)).read([UnreadableRecord(0, NOW_MS, 0, "its batch")], source)
    assert item.update is None
    assert item.letter is not None
    assert item.letter.code == "record.unreadable"
