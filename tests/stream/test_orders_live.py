"""Orders by Segment, GA4, snippet and Kafka come to what they are, under kills of the worker.

`TEST_ORDERS` says how many.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from api_processes import ApiProgram
from contracts.buckets import GRAIN_MS, Metric
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from contracts.visitor import REFUNDED, Visitor, unpack_visitor
from ops.stack.child import Child
from order_senders import OrderSenders
from order_tellers import OrderTellers, Told
from running_worker import running_worker
from services import wait_until

pytestmark = pytest.mark.slow

ORDERS = int(os.environ.get("TEST_ORDERS", "10000"))
ORDERS_PER_CUSTOMER = 30
"""A visitor's state knows 1,024 facts again; this many orders are far fewer."""
ORDERS_PER_KILL = 5_000
PAGE = 1_000


def sums_of(client: Redis, keys: Keys) -> dict[str, Counter[str]]:
    """What the shop's day buckets of today and yesterday come to, by metric; money by currency."""
    sums: dict[str, Counter[str]] = {name: Counter() for name in (Metric.REVENUE, Metric.REFUNDED, "")}
    today_ms = wall_clock_ms() // GRAIN_MS["day"] * GRAIN_MS["day"]
    for p in range(keys.partitions):
        for start_ms in (today_ms - GRAIN_MS["day"], today_ms):
            fields: dict[Any, Any] = client.hgetall(keys.shop_bucket(p, "day", start_ms))
            for field, number in fields.items():
                name = field.decode()
                start = name[:2] if name[:2] in sums else ""
                sums[start][name.removeprefix(start)] += int(number)
    return sums


def visitors_of(client: Redis, keys: Keys, ids: list[str]) -> Iterator[tuple[str, Visitor]]:
    for first in range(0, len(ids), PAGE):
        page = ids[first : first + PAGE]
        pipe = client.pipeline(transaction=False)
        for visitor in page:
            pipe.get(keys.visitor(visitor))
        for visitor, blob in zip(page, pipe.execute(), strict=True):
            assert isinstance(blob, bytes), visitor
            yield visitor, unpack_visitor(blob)


def send_all(told: list[Told], senders: OrderSenders, worker: Child, n_kills: int) -> None:
    """Send everything; the worker is killed amid its commits, at equal distances."""
    distance = len(told) // (n_kills + 1)
    for number, each in enumerate(told, 1):
        senders.send(each)
        if number % distance == 0 and number // distance <= n_kills:
            worker.kill()  # -9
            worker.start()
    senders.close()


def test_gross_and_net_are_those_of_the_orders_to_the_cent(make_installation: Any, tmp_path: Path) -> None:
    settings = make_installation(partitions=6, scoring=False)
    client, keys = Redis.from_url(settings.redis_url), Keys(settings.namespace, settings.partitions)
    tellers = OrderTellers(7, wall_clock_ms(), n_customers=max(1, ORDERS // ORDERS_PER_CUSTOMER))
    told = [each for number in range(ORDERS) for each in tellers.make(number)]
    random.Random(8).shuffle(told)
    expected = {Metric.REVENUE: tellers.gross, Metric.REFUNDED: tellers.refunded}
    n_kills, started_s = max(2, ORDERS // ORDERS_PER_KILL), time.monotonic()
    with running_worker(settings, tmp_path) as worker, ApiProgram(settings, tmp_path) as api:
        send_all(told, OrderSenders(settings, api.url), worker, n_kills)
        sent_s = time.monotonic() - started_s

        def has_come_to_it() -> bool:
            sums = sums_of(client, keys)
            return all(+sums[name] == +wanted for name, wanted in expected.items())

        try:
            wait_until(has_come_to_it, 90 + ORDERS / 200, f"the sums; {worker.log_tail()}")
        except pytest.fail.Exception:
            found = sums_of(client, keys)
            assert {name: +found[name] for name in expected} == expected, worker.log_tail()
            raise
        print(  # noqa: T201 - a measurement
            f"{ORDERS:,} orders, told {len(told):,} times ({dict(Counter(each.way for each in told))}), "
            f"{n_kills} kills: gross {dict(tellers.gross)}, refunded {dict(tellers.refunded)}; "
            f"sent in {sent_s:.0f} s, right {time.monotonic() - started_s - sent_s:.1f} s later"
        )
        assert sums_of(client, keys)[""][Metric.ORDERS] == ORDERS
        live = httpx.get(f"{api.url}/v1/live").json()["today"]
    gross, refunded, net = (
        Counter({money["currency"]: money["amount_minor"] for money in live[name]})
        for name in ("revenue", "refunded", "net_revenue")
    )
    assert net == gross - refunded
    for visitor, state in visitors_of(client, keys, list(tellers.paid_by)):
        paid = tellers.paid_by[visitor]
        assert Counter(state.totals.revenue_minor) == +paid, visitor
        assert Counter(state.extra.get(REFUNDED, {})) <= paid
    assert has_come_to_it()
    client.close()
