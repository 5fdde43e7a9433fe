"""Who is logged in on a visitor's device, as the visitor's state keeps it."""

from typing import NamedTuple

from contracts.visitor import Visitor

LOGIN = "login"
"""Name in `Visitor.extra`."""


class Login(NamedTuple):
    """Who is logged in on a device since when somebody last said so; an empty id is nobody.

    `reported_ms` is when the customer's record last got a report of it. `former` were logged in before.
    `bought` has products, or an empty id for everything, and when they were bought on another device: what
    was in the cart by then is not there any more, also if that is reported only later.
    """

    customer_id: str = ""
    said_ms: int = 0
    reported_ms: int = 0
    former: tuple[str, ...] = ()
    bought: tuple[tuple[str, int], ...] = ()


NO_LOGIN = Login()


def login_of(visitor: Visitor | None) -> Login:
    """The login in a visitor's state."""
    kept = None if visitor is None else visitor.extra.get(LOGIN)
    return NO_LOGIN if kept is None else Login(*kept)


def put_login(visitor: Visitor, login: Login) -> Visitor:
    """The visitor with a login."""
    return visitor._replace(extra={**visitor.extra, LOGIN: tuple(login)})
