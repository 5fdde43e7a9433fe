"""The scorer: asks the model of one slot about the visitors of a round, and never holds up the counting."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from contracts.heartbeat import SlotReport
from models.artefacts.host import ModelHost, wait_for_answer
from stream.runtime.slot_metrics import SlotMeter
from stream.scoring.slots import VISITOR_LIMIT_S, A, AskedVisitor, I, M, ModelSlot

log = logging.getLogger(__name__)

Key = TypeVar("Key")

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
        refused = "" if refusal is None else f"a new model was refused: {_say(refusal)}"
        return self.trouble or refused or ("off" if self.host.model is None else "ok")

    def report(self, drift: tuple[str, ...]) -> SlotReport:
        """How it goes, for the heartbeat."""
        meter = self._meter
        return SlotReport(self.slot.name, self.host.version, self.state, meter.scored, meter.skipped, drift)

    async def score(self, wanted: Mapping[Key, AskedVisitor]) -> dict[Key, A]:
        """An answer about every visitor, or about none: the model is late, fails, or there is none."""
        self.suspect = None
        if not wanted:
            return {}
        model = self.host.model
        if model is None or not self._is_ready():
            self._meter.count_scores(0, skipped=len(wanted))
            return {}
        began_s = time.monotonic()
        is_retry = bool(self.trouble)
        limit_s = self.slot.time_limit_s + VISITOR_LIMIT_S * len(wanted)
        call: asyncio.Future[list[Sequence[A]]] | None = None
        try:
            subjects = list(wanted.values())
            plan = self.slot.plan([subject.visitor for subject in subjects])
            call = asyncio.gather(*self._begin(model, plan, subjects, list(wanted)))
            answers = await wait_for_answer(call, limit_s)
            by_key = _by_key(list(wanted), plan, answers)
        except TimeoutError:
            trouble = f"the model takes longer than {self.slot.time_limit_s:g} s"
            self._skip(model, len(wanted), trouble, late=call, rest_s=REST_S if is_retry else 0.0)
            return {}
        except Exception as exc:  # whatever a model does wrong, events go on being counted
            self._skip(model, len(wanted), f"the model fails: {type(exc).__name__}", rest_s=REST_S)
            log.warning("the model of %s fails, resting for %s s: %r", self.slot.name, REST_S, exc)
            return {}
        if model is self.host.model:
            self._trouble = ""
        self._meter.count_scores(len(wanted), skipped=0, took_s=time.monotonic() - began_s)
        return by_key

    def fail(self, exc: Exception) -> None:
        """Leave the model alone for a while: what it said, or was judged by, could not be made use of."""
        log.error("the slot %s fails, resting for %s s", self.slot.name, REST_S, exc_info=exc)
        if self.host.model is not None:
            self._skip(self.host.model, 0, f"the slot fails: {type(exc).__name__}", rest_s=REST_S)

    def _begin(
        self, model: M, plan: Sequence[Sequence[int]], subjects: Sequence[AskedVisitor], keys: Sequence[Any]
    ) -> list["asyncio.Future[Sequence[A]]"]:
        """The calls, each handed over as soon as it is encoded: the model works on it meanwhile."""
        calls = []
        for places in plan:
            inputs = []
            for place in places:
                self.suspect = keys[place]
                inputs.append(self.slot.encode(subjects[place]))
            self.suspect = None
            visitors = [subjects[place].visitor for place in places]
            calls.append(self.host.begin(self.slot.ask, model, visitors, inputs))
        return calls

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


def _by_key(
    keys: Sequence[Key], plan: Sequence[Sequence[int]], answers: Sequence[Sequence[A]]
) -> dict[Key, A]:
    return {
        keys[place]: answer
        for places, own in zip(plan, answers, strict=True)
        for place, answer in zip(places, own, strict=True)
    }


def _say(refusal: Exception) -> str:
    return str(refusal) if isinstance(refusal, ValueError) else repr(refusal)
