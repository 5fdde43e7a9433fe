"""From the body of a predict request to the actions of a visitor: what is taken, what is refused and why."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from api.http.element_lists import list_in, open_object, raise_refusals, refuse_element
from contracts.events import Event, EventType, Statement, from_fields
from contracts.fields import InvalidEvent, kind_of
from contracts.visitor import ACTION_TYPES, DIGEST_BYTES, Action

MAX_ACTIONS = 256
DEFAULT_AFTER_S = 60.0
"""Pause between two actions if nothing is told: about the usual one."""
MAX_AFTER_S = 30 * 86_400.0

_USED = ("event_type", "product_id", "price", "currency", "category", "brand", "quantity")
_NOBODY = "-"
_EXAMPLE = '{"actions": ["view", "cart"]}'


class Defaults(NamedTuple):
    """What is taken where nothing is told: the time of receipt and the currency of the shop."""

    received_ms: int
    default_currency: str


def parse_actions(body: bytes, defaults: Defaults) -> list[Action]:
    """The actions in the body, oldest first; raises `Problem` naming every action that breaks a rule."""
    listed = list_in(open_object(body, ("actions",), _EXAMPLE), "actions", MAX_ACTIONS)
    elements = [{"event_type": e} if type(e) is str else e for e in listed]
    timed = any(type(e) is dict and e.get("event_time") is not None for e in elements)
    events: list[Event] = []
    gaps_ms: list[int] = []
    refusals: list[dict[str, Any]] = []
    for index, element in enumerate(elements):
        try:
            event = _to_event(element, timed, defaults)
            if timed and events and event.event_time_ms < events[-1].event_time_ms:
                detail = "event_time must not be before that of the previous action"
                raise InvalidEvent("event_time.out_of_order", detail)
            gaps_ms.append(0 if timed else _gap_ms(element.get("after_s")))
            events.append(event)
        except InvalidEvent as exc:
            refusals.append(refuse_element("actions", index, exc))
    raise_refusals(refusals)
    told = [element.get("product_id") for element in elements]
    products = name_products(
        [(e.event_type, None if id_ is None else e.product_id) for e, id_ in zip(events, told, strict=True)]
    )
    times_ms = [e.event_time_ms for e in events] if timed else _times(gaps_ms, defaults.received_ms)
    return [_to_action(*each) for each in zip(range(len(events)), events, products, times_ms, strict=True)]


def name_products(actions: Sequence[tuple[EventType | Statement, str | None]]) -> list[str]:
    """The product of each action; where none is told, the one that makes most sense.

    A view is of another product. A favourite or an add is of the product of the action before. A removal or
    a purchase is of the product added last that is still in the cart, else that of the action before.
    """
    named: list[str] = []
    cart: dict[str, None] = {}
    for index, (event_type, told) in enumerate(actions):
        product = told
        if product is None and event_type in (EventType.REMOVE_FROM_CART, EventType.PURCHASE):
            product = next(reversed(cart), None)
        if product is None and event_type is not EventType.VIEW and named:
            product = named[-1]
        if product is None:
            product = f"\x00{index}"  # no id that is told has control characters
        named.append(product)
        cart.pop(product, None)
        if event_type is EventType.CART:
            cart[product] = None
    return named


def count_last_session(actions: Sequence[Action], idle_ms: int) -> int:
    """How many of the actions belong to the session of the last one."""
    count = 1
    for earlier, later in zip(actions[-2::-1], actions[:0:-1], strict=True):
        if later.at_ms - earlier.at_ms > idle_ms:
            break
        count += 1
    return count


def _to_event(element: Any, timed: bool, defaults: Defaults) -> Event:
    """The action as an event of nobody, so that the rules are those of the event contract."""
    if type(element) is not dict:
        raise InvalidEvent("action.not_object", f"must be a string or an object, got {kind_of(element)}")
    fields = {name: element[name] for name in _USED if element.get(name) is not None}
    if timed:
        fields["event_time"] = element.get("event_time")
        if fields["event_time"] is None:
            raise InvalidEvent("event_time.missing", "every action must have event_time if one of them has")
        if element.get("after_s") is not None:
            raise InvalidEvent("after_s.unexpected", "after_s must be absent where event_time is given")
    else:
        fields["event_time"] = defaults.received_ms
    fields.setdefault("product_id", _NOBODY)
    event = from_fields(
        fields | {"user_id": _NOBODY, "event_id": _NOBODY},
        received_ms=defaults.received_ms,
        default_currency=defaults.default_currency,
    )
    if event.event_type not in ACTION_TYPES:
        raise InvalidEvent(
            "event_type.unknown", "event_type must be an action by a visitor; a refund is not one"
        )
    return event


def _gap_ms(after_s: object) -> int:
    if after_s is None:
        return round(DEFAULT_AFTER_S * 1_000)
    if isinstance(after_s, bool) or not isinstance(after_s, int | float):
        raise InvalidEvent("after_s.not_number", f"after_s must be a number, got {kind_of(after_s)}")
    if after_s < 0:
        raise InvalidEvent("after_s.negative", "after_s must not be negative")
    if not after_s <= MAX_AFTER_S:
        raise InvalidEvent("after_s.too_large", f"after_s must be at most {MAX_AFTER_S:.0f}")
    return round(after_s * 1_000)


def _times(gaps_ms: Sequence[int], last_ms: int) -> list[int]:
    """Times with these gaps before each, the first's aside, so that the last action is now."""
    times = [last_ms]
    for gap_ms in gaps_ms[:0:-1]:
        times.append(times[-1] - gap_ms)
    return times[::-1]


def _to_action(index: int, event: Event, product_id: str, at_ms: int) -> Action:
    return Action(
        at_ms,
        ACTION_TYPES.index(event.event_type),
        index.to_bytes(DIGEST_BYTES, "big"),
        product_id,
        event.quantity,
        event.price_minor,
        event.currency,
        event.category,
        event.brand,
        None,
    )
