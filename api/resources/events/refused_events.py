"""Refused events over HTTP as dead letters, beside those that came through Kafka."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol

import orjson

from api.http.errors import Problem
from api.resources.events.receipts import Refusal
from contracts.clock import wall_clock_ms
from contracts.dead_letters import HTTP, DeadLetter, sender_of

MAX_OF_REQUEST = 20
"""Letters of one request; the others are counted in the metrics alone."""
MAX_PER_MINUTE = 20
"""Letters of one code and process where the sender is told anyway; the others are counted alone too."""
ORIGIN = "origin.not_allowed"
_NO_LETTER = frozenset((401, 429))
"""Whoever sends without a right to, or too much, must not fill the log."""
_KEPT = frozenset((
    "event_id", "event_type", "event_time", "order_id", "product_id", "price", "currency", "quantity",
    "total", "value", "tax", "shipping", "discount",
))  # fmt: skip
"""What a letter shows of an event: nothing that says who it was, and no free text."""
_MAX_VALUE_CHARS = 128

_numbers = count(time.time_ns() // 1_000)


class LetterPublisher(Protocol):
    """Sends dead letters without being waited for."""

    def report(self, letters: Iterable[DeadLetter]) -> None: ...


class Sender(NamedTuple):
    """Who sent a request: `source` is empty for events in our own form, `client` the program's own name."""

    source: str = ""
    key_id: str = ""
    client: str | None = None

    @property
    def topic(self) -> str:
        """What stands in place of the topic in letters of it."""
        return self.source or (f"{HTTP}:{self.key_id}" if self.key_id else HTTP)


class RefusalReports:
    """Makes letters of what was refused, and hands them to the publisher.

    `count` is told of every refused event: the name of its sender, and the code.
    """

    def __init__(
        self,
        publisher: LetterPublisher,
        count: Callable[[str, str], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._count = count
        self._clock_s = clock_s
        self._minute_s = clock_s()
        self._n_of: Counter[str] = Counter()

    def report_events(
        self, sender: Sender, elements: Sequence[Any], refusals: Sequence[Refusal], now_ms: int
    ) -> None:
        """Refused events of a request."""
        name = sender_of(sender.topic, sender.client)
        for refusal in refusals:
            self._count(name, refusal.code)
        if not sender.source:
            refusals = [refusal for refusal in refusals[:MAX_OF_REQUEST] if self._admits(refusal.code)]
        self._publisher.report(letters_of(sender, elements, refusals, now_ms))

    def report_request(self, sender: Sender, problem: Problem, now_ms: int) -> None:
        """A whole request that held no events, or none that could be taken."""
        is_of_sender = 400 <= problem.status < 500 and problem.status not in _NO_LETTER
        if is_of_sender and self._admits(problem.code):
            self._publisher.report([_letter(problem.code, problem.detail, sender, None, now_ms)])

    def report_origin(self, text: str) -> None:
        """A page that may not send: its browser tells it no reason."""
        if self._admits(ORIGIN):
            self._publisher.report([_letter(ORIGIN, text, Sender(), None, wall_clock_ms())])

    def _admits(self, code: str) -> bool:
        now_s = self._clock_s()
        if now_s - self._minute_s >= 60.0:
            self._minute_s = now_s
            self._n_of.clear()
        self._n_of[code] += 1
        return self._n_of[code] <= MAX_PER_MINUTE


def letters_of(
    sender: Sender, elements: Sequence[Any], refusals: Sequence[Refusal], now_ms: int
) -> Iterator[DeadLetter]:
    """A letter for each of the first refusals."""
    for refusal in refusals[:MAX_OF_REQUEST]:
        value = orjson.dumps(_shown(elements[refusal.index]))
        yield _letter(refusal.code, refusal.detail, sender, value, now_ms)


def _letter(code: str, detail: str, sender: Sender, value: bytes | None, now_ms: int) -> DeadLetter:
    return DeadLetter(code, detail, sender.topic, 0, next(_numbers), None, value, now_ms, sender.client)


def _shown(element: Any) -> Any:
    if type(element) is not dict:
        return None
    shown = {name: _short(value) for name, value in element.items() if name in _KEPT}
    items = element.get("items")
    if type(items) is list:
        shown["items"] = [_shown(item) for item in items[:MAX_OF_REQUEST]]
    return shown


def _short(value: Any) -> Any:
    if type(value) in (dict, list):
        return f"a JSON {'object' if type(value) is dict else 'array'}"
    return value[:_MAX_VALUE_CHARS] if type(value) is str else value
