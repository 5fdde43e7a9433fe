"""Who of the simulated visitors has an account, logs in when, and uses two devices."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contracts.events import GUEST, Event, EventType, Statement

WITH_ACCOUNT = 0.45
LOGGED_IN_FROM_START = 0.4
"""Share of the sessions of those with an account that begin logged in; in the others they log in to buy."""
TOLD_APART = 0.3
"""Share of logins that are an event of their own, before the next action."""
_SECOND_DEVICES = 5
"""One visitor of so many is the second device of the one before, if that one has an account."""


@dataclass(slots=True)
class _Device:
    customer_id: str | None
    session_id: str | None = None
    is_logged_in: bool = False
    tells_login: bool = False


def with_accounts(events: Iterable[Event], seed: int) -> Iterator[Event]:
    """The events as those of devices: of guests, and of customers from the moment they log in in a session.

    A visitor's id becomes that of the device. The same for the same events and seed; nothing else of them
    changes, and logins are added.
    """
    devices: dict[str, _Device] = {}
    for event in events:
        device = devices.get(event.user_id)
        if device is None:
            device = devices[event.user_id] = _Device(_account(event.user_id, seed))
        if device.customer_id is None:
            yield event._replace(customer_id=GUEST)
            continue
        begins = False
        if event.session_id != device.session_id:
            rng = random.Random(f"{seed}:{event.session_id}")
            begins, device.tells_login = rng.random() < LOGGED_IN_FROM_START, rng.random() < TOLD_APART
            device.session_id, device.is_logged_in = event.session_id, False
        if not device.is_logged_in and (begins or event.event_type is EventType.PURCHASE):
            device.is_logged_in = True
            if device.tells_login:
                yield _login(event, device.customer_id)
        yield event._replace(customer_id=device.customer_id if device.is_logged_in else GUEST)


def _account(visitor_id: str, seed: int) -> str | None:
    """The customer whose device it is; None for somebody without an account."""
    number = int(visitor_id.removeprefix("v"))
    if number % _SECOND_DEVICES == 0:
        number -= 1
    return f"c{number:07}" if random.Random(f"{seed}:{number}").random() < WITH_ACCOUNT else None


def _login(event: Event, customer_id: str) -> Event:
    return Event(
        event_id=f"{event.event_id}-login",
        event_type=Statement.IDENTIFY,
        event_time_ms=event.event_time_ms,
        user_id=event.user_id,
        product_id="",
        customer_id=customer_id,
    )
