"""The demo's shoppers: the simulated shop from some minutes ago up to now at once, and on from there live."""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable

from contracts.clock import wall_clock_ms
from contracts.events import Event
from contracts.product_records import ProductUpdate
from contracts.settings import Settings, get_settings
from ops.logs.setup import configure_logging
from producers.lag import RedisOffsets, lag_events
from producers.sender import KafkaSender
from producers.simulator.accounts import with_accounts
from producers.simulator.refunds import Refunds
from producers.simulator.shop_products import shop_products, tell_products
from producers.simulator.simulation import SimulationConfig, simulate

MAX_LAG_EVENTS = 5_000
"""The embedded broker drops its oldest records early, so the stream is never left further behind."""
CHECK_EVERY_EVENTS = 1_000
RATE_PER_S = 50.0
VISITORS = 100_000
"""So many that at the demo's usual rate nobody comes back by chance before two hours are over."""

_log = logging.getLogger(__name__)


def main(argv: list[str]) -> None:
    """Entry point of the child process; arguments are events/s, minutes of history and the seed."""
    rate_per_s, history_min, seed = float(argv[0]), int(argv[1]), int(argv[2])
    settings = get_settings()
    configure_logging(settings)
    stopping = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopping.set())
    config = configure_shop(settings, start_ms=wall_clock_ms() - history_min * 60_000, rate_per_s=rate_per_s)
    events = Refunds(seed).among(with_accounts(simulate(config, seed), seed))
    send_when_due(events, settings, stopping, shop_products(config, seed))


def configure_shop(
    settings: Settings, *, start_ms: int, end_ms: int | None = None, rate_per_s: float = RATE_PER_S
) -> SimulationConfig:
    """The demo's shop, which is as busy at night as during the day."""
    return SimulationConfig(
        start_ms=start_ms,
        end_ms=end_ms,
        rate=rate_per_s,
        visitors=VISITORS,
        currency=settings.currency,
        timezone=settings.timezone,
        shaped=False,
    )


def send_when_due(
    events: Iterable[Event],
    settings: Settings,
    stopping: threading.Event,
    products: Iterable[ProductUpdate] = (),
) -> None:
    """Tell of the products, then send each event when the clock reaches its time: those of the past at once.

    Returns when stopped.
    """
    sender = KafkaSender(settings)
    applied = RedisOffsets(settings)
    try:
        tell_products(products, sender, settings)
        for event in events:
            wait_s = (event.event_time_ms - wall_clock_ms()) / 1_000
            if wait_s > 0:
                stopping.wait(wait_s)
            if stopping.is_set():
                break
            sender.send(event)
            if sender.sent % CHECK_EVERY_EVENTS == 0:
                sender.flush()
                _await_stream(lambda: lag_events(sender.starts, sender.ends, applied.read()), stopping)
    finally:
        _log.info("%d records sent", sender.sent)
        sender.close()
        applied.close()


def _await_stream(lag: Callable[[], int], stopping: threading.Event) -> None:
    while lag() > MAX_LAG_EVENTS:
        if stopping.wait(0.02):
            return


if __name__ == "__main__":
    main(sys.argv[1:])
