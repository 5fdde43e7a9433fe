"""Orders that are told of in several ways, with reloads, retries and refunds, and what they come to."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from contracts.events import format_minor

WAYS = ("segment", "ga4", "snippet", "kafka")
CURRENCIES = ("EUR", "usd", "JPY", "KWD")
REFUND_KINDS = ("whole", "amount", "negative", "pieces", "amount and whole")


@dataclass(frozen=True)
class Told:
    """One thing to be sent: as a call, body or event of its way."""

    way: str
    body: dict[str, Any]


@dataclass
class Line:
    """So many pieces of a product at so much each."""

    product: str
    pieces: int
    price_minor: int


@dataclass
class Order:
    """One order: what was bought, by whom, and what it comes to after a discount."""

    number: int
    currency: str
    lines: list[Line]
    total_minor: int
    visitors: list[str]

    @property
    def id(self) -> str:
        return f"order-{self.number}"

    def money(self, minor: int) -> str:
        return format_minor(minor, self.currency.upper())


@dataclass
class OrderTellers:
    """Makes orders and what is sent of them; counts on the way what they come to."""

    seed: int
    now_ms: int
    n_customers: int = 97
    gross: Counter[str] = field(default_factory=Counter)
    refunded: Counter[str] = field(default_factory=Counter)
    paid_by: dict[str, Counter[str]] = field(default_factory=dict)
    """What visitors paid who are the only ones to tell of their orders."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._messages = 0

    def make(self, number: int) -> list[Told]:
        """Everything that is sent of one order, in any order."""
        draw = self._random
        order = self._new_order(number)
        code = order.currency.upper()
        self.gross[code] += order.total_minor
        is_discounted = order.total_minor != sum(line.pieces * line.price_minor for line in order.lines)
        ways = [draw.choice(WAYS[:3] if is_discounted else WAYS) for _ in order.visitors]
        told: list[Told] = []
        for visitor, way in zip(order.visitors, ways, strict=True):
            for _ in range(1 + (draw.random() < 0.4) + (draw.random() < 0.1)):  # reloaded thank-you pages
                told += self._tell(order, visitor, way, with_lines=True)
        is_bare = draw.random() < 0.15
        if is_bare:
            told += self._tell(order, order.visitors[0], draw.choice(WAYS), with_lines=False)
        if len(order.visitors) == 1:
            self.paid_by.setdefault(order.visitors[0], Counter())[code] += order.total_minor
        if draw.random() < 0.3:
            told += self._refund(order, is_plain=not is_discounted and not is_bare)
        return told + [each for each in told if draw.random() < 0.1]  # retries: the very same again

    def _new_order(self, number: int) -> Order:
        draw = self._random
        names = draw.sample(range(50), draw.randint(1, 4))
        lines = [Line(f"p{n}", draw.randint(1, 3), draw.randint(0, 20_000)) for n in names]
        if draw.random() < 0.1:
            lines.append(Line(lines[0].product, 1, lines[0].price_minor))  # another size of the same
        total = sum(line.pieces * line.price_minor for line in lines)
        if draw.random() < 0.3:
            total = int(total * draw.random())
        visitors = [f"guest-{number}", f"customer-{number % self.n_customers}"]
        return Order(number, draw.choice(CURRENCIES), lines, total, visitors[: draw.choice((1, 1, 2))])

    # -- tellers ---------------------------------------------------------------------------------------

    def _message(self) -> str:
        self._messages += 1
        return f"m{self.seed}-{self._messages}"

    def _tell(self, order: Order, visitor: str, way: str, *, with_lines: bool) -> list[Told]:
        amount = order.money(order.total_minor)
        lines = order.lines if with_lines else []
        if way == "segment":
            products = [
                {"product_id": line.product, "quantity": line.pieces, "price": order.money(line.price_minor)}
                for line in lines
            ]
            properties = {"order_id": order.id, "currency": order.currency, "revenue": amount}
            return [self._call("Order Completed", visitor, {**properties, "products": products or None})]
        if way == "ga4":
            items = [
                {"item_id": line.product, "quantity": line.pieces, "price": order.money(line.price_minor)}
                for line in lines
            ]
            return [_ga4("purchase", visitor, order, value=amount, items=items)]
        if way == "snippet" or not lines:
            items = [
                {"product_id": line.product, "quantity": line.pieces, "price": order.money(line.price_minor)}
                for line in lines
            ]
            event = self._event("purchase", order, visitor) | {"items": items, "total": amount}
            return [Told("snippet", event)]
        numbers: Counter[str] = Counter()
        events = []
        for line in lines:
            numbers[line.product] += 1
            event = self._event("purchase", order, visitor) | {
                "event_time": self.now_ms - self._random.randint(0, 60_000), "product_id": line.product,
                "quantity": line.pieces, "price": order.money(line.price_minor),
            }  # fmt: skip
            if numbers[line.product] > 1:
                event["line"] = numbers[line.product]
            events.append(Told("kafka", event))
        return events

    def _refund(self, order: Order, *, is_plain: bool) -> list[Told]:
        draw = self._random
        kind = draw.choice(REFUND_KINDS if is_plain else [kind for kind in REFUND_KINDS if kind != "pieces"])
        code, total = order.currency.upper(), order.total_minor
        visitor = draw.choice([*order.visitors, "back-office"])
        part = draw.randint(0, total)
        if kind == "pieces":
            line = order.lines[0]
            pieces = draw.randint(1, line.pieces)
            self.refunded[code] += pieces * line.price_minor
            back = {"product_id": line.product, "quantity": pieces}
            if draw.random() < 0.5:
                return [self._call("Order Refunded", visitor, {"order_id": order.id, "products": [back]})]
            return [Told("kafka", self._event("refund", order, visitor) | {"event_time": self.now_ms} | back)]
        self.refunded[code] += part if kind in ("amount", "negative") else total
        told = []
        if kind == "negative":
            properties = {"order_id": order.id, "currency": code, "revenue": f"-{order.money(part)}"}
            return [self._call("Order Completed", visitor, properties)] if part else self._nothing(code, part)
        if "amount" in kind:
            told.append(_ga4("refund", visitor, order, value=order.money(part)))
        if "whole" in kind:
            told += [
                self._call("Order Refunded", visitor, {"order_id": order.id}),
                Told("snippet", self._event("refund", order, visitor)),
                _ga4("refund", visitor, order),
            ][draw.randint(0, 2) :]
        return told

    def _nothing(self, code: str, part: int) -> list[Told]:
        self.refunded[code] -= part
        return []

    def _call(self, event: str, visitor: str, properties: dict[str, Any]) -> Told:
        body = {
            "type": "track", "event": event, "userId": visitor, "messageId": self._message(),
            "properties": properties, "context": {"library": {"name": "analytics.js", "version": "2.11.1"}},
        }  # fmt: skip
        return Told("segment", body)

    def _event(self, kind: str, order: Order, visitor: str) -> dict[str, Any]:
        return {
            "event_id": self._message(),
            "event_type": kind,
            "user_id": visitor,
            "order_id": order.id,
            "currency": order.currency,
        }


def _ga4(name: str, visitor: str, order: Order, **params: Any) -> Told:
    params |= {"transaction_id": order.id, "currency": order.currency}
    return Told("ga4", {"client_id": visitor, "events": [{"name": name, "params": params}]})
