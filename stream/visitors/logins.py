"""Logins: which customer is logged in on a visitor's device, and whose an event is that does not say."""

from collections.abc import Sequence
from typing import NamedTuple

from contracts.customers import CustomerReport, ReportKind
from contracts.events import GUEST, LOGGED_OUT, NOBODY, Event, Statement, statement_in
from contracts.logins import Login
from contracts.visitor import CartLine

RELINK_MS = 1_800_000
"""A device that is in use is reported to the customer's record again so long after the last time."""
MAX_FORMER = 4
MAX_BOUGHT = 50


class Followed(NamedTuple):
    """A visitor's events with the customer whose each is, as far as known; what else they said.

    `bought` are purchases on other devices.
    """

    login: Login
    events: list[Event]
    reports: list[CustomerReport]
    bought: list[Event]
    n_statements: int


def follow_logins(login: Login, last_ms: int, events: Sequence[Event], idle_ms: int) -> Followed:
    """Go through a visitor's events in order of time; `last_ms` is that of the last one before them.

    An event without a user id is the customer's who is logged in, within the session: nobody says who comes
    back after it. A statement older than the last one changes nothing.
    """
    reports: list[CustomerReport] = []
    owners: dict[int, str] = {}
    bought, n_statements = [], 0
    for event in sorted(events, key=lambda event: event.event_time_ms):
        at_ms, customer_id = event.event_time_ms, event.customer_id
        statement = statement_in(event)
        if statement is Statement.BOUGHT_ELSEWHERE:
            bought.append(event)
        elif statement is Statement.FORGET_CUSTOMER:
            login = _forget(login, str(customer_id), event.event_time_ms)
        elif customer_id is not None and customer_id != GUEST:
            login = _say(login, event, reports) if at_ms >= login.said_ms else _note(login, event, reports)
        elif statement is None and login.customer_id and last_ms and at_ms - last_ms > idle_ms:
            login = _leave(login, at_ms)
        if statement is not None:
            n_statements += 1
            continue
        last_ms = max(last_ms, at_ms)
        if customer_id in NOBODY and login.customer_id and at_ms >= login.said_ms:
            owners[id(event)] = login.customer_id
    actions = [
        event._replace(customer_id=owners[id(event)]) if id(event) in owners else event
        for event in events
        if statement_in(event) is None
    ]
    return Followed(login, actions, reports, bought, n_statements)


def add_bought(login: Login, bought: Sequence[Event]) -> Login:
    """The login with what the customer bought on other devices."""
    known = dict(login.bought)
    for event in bought:
        if event.customer_id in (GUEST, login.customer_id):  # a guest's is of who is a visitor themselves
            at_ms = max(event.event_time_ms, known.pop(event.product_id, 0))
            known[event.product_id] = at_ms
    return login._replace(bought=tuple(known.items())[-MAX_BOUGHT:])


def without_bought(cart: dict[str, CartLine], login: Login) -> dict[str, CartLine]:
    """The cart without what was bought on other devices later; the same object if that is all."""
    bought = dict(login.bought)
    everything_ms = bought.get("", 0)
    left = {
        product: line
        for product, line in cart.items()
        if line.added_ms > max(everything_ms, bought.get(product, 0))
    }
    return cart if len(left) == len(cart) else left


def _say(login: Login, event: Event, reports: list[CustomerReport]) -> Login:
    customer_id, at_ms = str(event.customer_id), event.event_time_ms
    if customer_id == LOGGED_OUT:
        if login.customer_id:
            reports.append(CustomerReport(ReportKind.LOGOUT, login.customer_id, event.user_id, at_ms))
        return _leave(login, at_ms)
    if customer_id != login.customer_id:
        if login.customer_id:
            reports.append(CustomerReport(ReportKind.LOGOUT, login.customer_id, event.user_id, at_ms))
        login = _leave(login, at_ms)
    elif at_ms - login.reported_ms < RELINK_MS:
        return login._replace(said_ms=at_ms)
    reports.append(CustomerReport(ReportKind.LOGIN, customer_id, event.user_id, at_ms))
    former = tuple([other for other in login.former if other != customer_id])
    return Login(customer_id, at_ms, at_ms, former, login.bought)


def _note(login: Login, event: Event, reports: list[CustomerReport]) -> Login:
    """A login that is over by now, reported late: the device is linked all the same."""
    customer_id = str(event.customer_id)
    if customer_id in (LOGGED_OUT, login.customer_id, *login.former):
        return login
    reports.append(CustomerReport(ReportKind.LOGIN, customer_id, event.user_id, event.event_time_ms))
    reports.append(CustomerReport(ReportKind.LOGOUT, customer_id, event.user_id, login.said_ms))
    return login._replace(former=(*login.former, customer_id)[-MAX_FORMER:])


def _forget(login: Login, customer_id: str, at_ms: int) -> Login:
    former = tuple([other for other in login.former if other != customer_id])
    if login.customer_id == customer_id:
        return Login("", max(login.said_ms, at_ms), 0, former, login.bought)
    return login._replace(former=former)


def _leave(login: Login, at_ms: int) -> Login:
    if not login.customer_id:
        return login._replace(said_ms=at_ms)
    former = (login.customer_id, *[other for other in login.former if other != login.customer_id])
    return Login("", at_ms, 0, former[:MAX_FORMER], login.bought)
