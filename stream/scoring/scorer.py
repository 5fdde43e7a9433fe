"""The scorer: asks the model of one slot about the visitors of a round, and never holds up the counting."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

from contracts.heartbeat import SlotReport
from contracts.visitor import Visitor
from models.artefacts.host import ModelHost, wait_for_answer
from stream.runtime.slot_metrics import SlotMeter
from stream.scoring.slots import VISITOR_LIMIT_S, A, AskedVisitor, I, M, ModelSlot

log = logging.getLogger(__name__)

Key = TypeVar("Key")
NOBODY: Mapping[Any, AskedVisitor] = {}
Call = asyncio.Future[tuple[Sequence[A], float]]
"""Answers that are on their way, and the time they take of the processor."""

PARTS = 3
"""Calls that the time of a round is divided into, where there is not enough of it."""
RECENT_CALLS = 32
"""What none of so many calls went below, besides the processor's time, is a wait that does not depend on the
number of visitors: that of a thread for its turn on a machine with other work."""
CROWDED = 8
"""Others on the machine may make a call take so many times its own time."""
FEWEST_VISITORS = 16
"""Fewer in a call cost much more each."""
MOST_LATE = 1_000
"""Visitors who waited that are asked about in a round whose time has no end."""
FIRST_COST_S = 50e-6
SETTLED_VISITORS = 200
"""What an answer takes is known anew after so many."""
REST_S = 5.0
"""A model that failed, or was late twice running, is left alone for so long: late calls delay rounds."""


class Scorer(Generic[M, I, A]):
    """Asks whatever model its host has; without one, or while it fails, it skips visitors and counts them."""

    def __init__(self, slot: ModelSlot[M, I, A], host: ModelHost[M], meter: SlotMeter) -> None:
        self.slot = slot
        self.host = host
        self._meter = meter
        self._late: asyncio.Future[Any] | None = None
        self._rest_until_s = 0.0
        self._trouble = ""
        self.suspect: Any = None
        """Of what was last wanted, the key of a visitor whose state could not be encoded."""
        self._cost_s = FIRST_COST_S
        """What an answer takes of the processor, of late."""
        self._waits_s: deque[float] = deque(maxlen=RECENT_CALLS)
        """How much longer than the processor's time recent calls took."""
        self._troubled: M | None = None
        """The model that the trouble is with: it is over once another has taken its place."""

    @property
    def trouble(self) -> str:
        """Why the last visitors were skipped, in a few words; empty if they were answered."""
        return self._trouble if self._troubled is self.host.model else ""

    @property
    def state(self) -> str:
        """`ok`, `off` without a model, or what is wrong, in a few words."""
        refusal = self.host.refusal
        refused = "" if refusal is None else f"a new model was rejected: {_say(refusal)}"
        return self.trouble or refused or ("off" if self.host.model is None else "ok")

    def report(self, drift: tuple[str, ...]) -> SlotReport:
        """How it goes, for the heartbeat."""
        meter = self._meter
        return SlotReport(
            self.slot.name, self.host.version, self.state, meter.scored, meter.skipped, drift,
            dict(meter.left_out),
        )  # fmt: skip

    def fitting(self, budget_s: float | None) -> int:
        """About how many visitors can be asked about in this time."""
        return MOST_LATE if budget_s is None else max(FEWEST_VISITORS, int(budget_s / self._cost_s))

    async def score(
        self,
        fresh: Mapping[Key, AskedVisitor],
        budget_s: float | None = None,
        *,
        late: Mapping[Key, AskedVisitor] = NOBODY,
        keeps: Callable[[Key, str], bool] = lambda _key, _kind: False,
    ) -> dict[Key, A]:
        """An answer about every visitor, or about none: the model is late, fails, or there is none.

        With `budget_s` it asks for about so long, first about those who are `late`, in their order, then
        about those who matter most, and leaves out the rest. Of them, `keeps` is told who is to wait for a
        later round, with the kind, and says whether there is room.
        """
        self.suspect = None
        wanted = {**late, **fresh}
        if not wanted:
            return {}
        model = self.host.model
        if model is None or not self._is_ready():
            self._meter.count_scores(0, skipped=len(wanted))
            return {}
        began_s = time.monotonic()
        is_retry = bool(self.trouble)
        limit_s = self.slot.time_limit_s + VISITOR_LIMIT_S * len(wanted)
        calls: list[Call[A]] = []
        try:
            if budget_s is None or len(wanted) <= self._size(budget_s):
                by_key = await self._ask_all(model, wanted, limit_s, calls)
            else:
                keys = [*late, *self._sorted(fresh)]
                by_key = await self._ask_first(model, wanted, keys, limit_s, began_s + budget_s, calls)
        except TimeoutError:
            trouble = f"the model takes longer than {self.slot.time_limit_s:g} s"
            behind = asyncio.gather(*calls, return_exceptions=True)
            self._skip(model, len(wanted), trouble, late=behind, rest_s=REST_S if is_retry else 0.0)
            return {}
        except Exception as exc:  # whatever a model does wrong, events go on being counted
            self._skip(model, len(wanted), f"the model failed: {type(exc).__name__}", rest_s=REST_S)
            log.warning("the model of %s failed, not used for %s s: %r", self.slot.name, REST_S, exc)
            return {}
        if model is self.host.model:
            self._trouble = ""
        took_s = time.monotonic() - began_s
        self._note_cost(took_s, [call.result()[1] for call in calls], len(by_key))
        self._meter.count_scores(len(by_key), skipped=0, took_s=took_s)
        if len(by_key) < len(wanted):
            left = [(key, self.slot.worth(each.visitor)) for key, each in wanted.items() if key not in by_key]
            self.leave_out(
                Counter([worth.kind for key, worth in left if not (worth.waits and keeps(key, worth.kind))])
            )
        return by_key

    def leave_out(self, kinds: Counter[str]) -> None:
        """Count visitors who are not scored for want of time, by kind."""
        self._meter.count_scores(0, skipped=kinds.total())
        self._meter.count_left_out(kinds)

    def note_waits(self, waits_s: Sequence[float]) -> None:
        """Note how long visitors waited who were scored in a later round."""
        self._meter.note_waits(waits_s)

    def fail(self, exc: Exception) -> None:
        """Leave the model alone for a while: what it said, or was judged by, could not be made use of."""
        log.error("the slot %s failed, not used for %s s", self.slot.name, REST_S, exc_info=exc)
        if self.host.model is not None:
            self._skip(self.host.model, 0, f"the slot failed: {type(exc).__name__}", rest_s=REST_S)

    async def _ask_all(
        self,
        model: M,
        wanted: Mapping[Key, AskedVisitor],
        limit_s: float,
        calls: list["Call[A]"],
    ) -> dict[Key, A]:
        """Hand over every call as soon as it is encoded: the model works on it meanwhile."""
        keys = list(wanted)
        for at in range(0, len(keys), self.slot.most_visitors):
            calls.append(self._begin(model, wanted, keys[at : at + self.slot.most_visitors]))
        answers: list[tuple[Sequence[A], float]] = await wait_for_answer(asyncio.gather(*calls), limit_s)
        return dict(zip(keys, chain.from_iterable([found for found, _ in answers]), strict=True))

    async def _ask_first(
        self,
        model: M,
        wanted: Mapping[Key, AskedVisitor],
        keys: Sequence[Key],
        limit_s: float,
        until_s: float,
        calls: list["Call[A]"],
    ) -> dict[Key, A]:
        """One call after the other until the time is over, in the order of `keys`."""
        now_s = time.monotonic()
        size, took_s = self._size(until_s - now_s), 0.0
        found: dict[Key, A] = {}
        for at in range(0, len(keys), size):
            if at and now_s + took_s > until_s:
                break
            mine = keys[at : at + size]
            calls.append(self._begin(model, wanted, mine))
            answers, _ = await wait_for_answer(calls[-1], limit_s)
            found.update(zip(mine, answers, strict=True))
            took_s, now_s = time.monotonic() - now_s, time.monotonic()
        return found

    def _sorted(self, wanted: Mapping[Key, AskedVisitor]) -> list[Key]:
        """Those who matter most first."""
        worth = self.slot.worth
        return sorted(wanted, key=lambda key: -worth(wanted[key].visitor).rank)

    def _size(self, budget_s: float) -> int:
        """How many visitors can be asked about in a part of this time, so that little of it is overrun.

        Where waits take much of it there is one part: each call more would be a wait more.
        """
        parts = PARTS if 2 * PARTS * self._wait_s < budget_s else 1
        fitting = int(budget_s / self._cost_s / parts)
        return max(FEWEST_VISITORS, min(fitting, self.slot.most_visitors))

    @property
    def _wait_s(self) -> float:
        return min(self._waits_s, default=0.0)

    def _note_cost(self, took_s: float, calls_s: Sequence[float], number: int) -> None:
        """Learn what an answer takes, from so many; `calls_s` is what each call took of the processor."""
        spent_s = sum(calls_s)
        self._waits_s.append(max(0.0, took_s - spent_s) / len(calls_s))
        cost_s = max(spent_s, (took_s - self._wait_s * len(calls_s)) / CROWDED)
        self._cost_s += (cost_s / number - self._cost_s) * min(1.0, number / SETTLED_VISITORS)

    def _begin(self, model: M, wanted: Mapping[Key, AskedVisitor], keys: Sequence[Key]) -> "Call[A]":
        subjects = [wanted[key] for key in keys]
        try:
            inputs = self.slot.encode_all(subjects)
        except Exception:
            self.suspect = self._find_suspect(keys, subjects)
            raise
        return self.host.begin(self._ask, model, [subject.visitor for subject in subjects], inputs)

    def _ask(self, model: M, visitors: Sequence[Visitor], inputs: Sequence[I]) -> tuple[Sequence[A], float]:
        """In the model's thread: the answers, and the processor's time (s) that they took."""
        began_s = time.thread_time()
        answers = self.slot.ask(model, visitors, inputs)
        return answers, time.thread_time() - began_s

    def _find_suspect(self, keys: Sequence[Key], subjects: Sequence[AskedVisitor]) -> Key | None:
        for key, subject in zip(keys, subjects, strict=True):
            try:
                self.slot.encode(subject)
            except Exception:  # whatever the slot makes of it
                return key
        return None

    def _is_ready(self) -> bool:
        if self._troubled is not self.host.model:
            self._late, self._rest_until_s, self._trouble = None, 0.0, ""
            return True
        if self._late is not None:
            if not self._late.done():
                return False
            self._late = None
        return time.monotonic() >= self._rest_until_s

    def _skip(
        self,
        model: M,
        number: int,
        trouble: str,
        *,
        rest_s: float,
        late: "asyncio.Future[Any] | None" = None,
    ) -> None:
        """Count so many visitors as skipped, and leave the model alone unless another has taken its place."""
        self._meter.count_scores(0, skipped=number)
        if model is not self.host.model:
            return
        if not self.trouble:
            log.warning("visitors are not scored for %s: %s", self.slot.name, trouble)
        self._trouble, self._troubled = trouble, model
        self._rest_until_s = max(self._rest_until_s, time.monotonic() + rest_s)
        self._late = late or self._late


def _say(refusal: Exception) -> str:
    return str(refusal) if isinstance(refusal, ValueError) else repr(refusal)
