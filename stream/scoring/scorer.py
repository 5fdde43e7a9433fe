"""The scorer: asks the model about the visitors of a round, and never lets it hold up the counting."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from contracts.scores import Score
from contracts.visitor import Visitor
from models.next_action.encoding import encode_visitor
from models.next_action.model import Model
from models.next_action.prices import PriceLevel
from stream.runtime.metrics import Meter
from stream.scoring.model_calls import ask, plan_calls

log = logging.getLogger(__name__)

Key = TypeVar("Key")

TIME_LIMIT_S = 0.5
"""A round goes on without scores after this long, and `VISITOR_LIMIT_S` for each visitor more. A usual call
takes milliseconds; a backlog comes in rounds of thousands of visitors, and competes with the event loop."""
VISITOR_LIMIT_S = 0.001
REST_S = 5.0
"""A model that failed, or was late twice running, is left alone for so long: late calls delay rounds."""


class Scorer:
    """Scores visitors with whatever model is loaded; without one, or while it fails, it skips and counts."""

    def __init__(self, meter: Meter, *, idle_ms: int, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._meter = meter
        self._idle_ms = idle_ms
        self._time_limit_s = time_limit_s
        self._thread = _new_thread()
        self._late: asyncio.Future[list[list[Score]]] | None = None
        self._rest_until_s = 0.0
        self.model: Model | None = None
        self.trouble = ""
        """Why the last visitors were skipped, in a few words; empty if they were scored."""
        self.refused = ""
        """Why a newer model is not used, if it was refused."""

    @property
    def state(self) -> str:
        """`ok`, `off` without a model, or what is wrong, in a few words."""
        refused = f"a new model was refused: {self.refused}" if self.refused else ""
        return self.trouble or refused or ("off" if self.model is None else "ok")

    def take_up(self, model: Model) -> None:
        """Score with this model from now on; whatever was wrong with the one before is over."""
        # Its thread may be in a call that never ends. Calls behind it are not cancelled: rounds await them.
        self._thread.shutdown(wait=False)
        self._thread, self._late = _new_thread(), None
        self._rest_until_s = 0.0
        self.model = model
        self.trouble = self.refused = ""

    async def score(self, wanted: Mapping[Key, tuple[Visitor, PriceLevel]]) -> dict[Key, Score]:
        """A score for every visitor, or for none: the model is late, fails, or there is none."""
        if not wanted:
            return {}
        model = self.model
        if model is None or not self._ready():
            self._meter.count_scores(0, skipped=len(wanted))
            return {}
        began_s = time.monotonic()
        is_retry = bool(self.trouble)
        limit_s = self._time_limit_s + VISITOR_LIMIT_S * len(wanted)
        plan = plan_calls([visitor for visitor, _ in wanted.values()])
        call = asyncio.gather(*self._begin(model, plan, list(wanted.values())))
        try:
            answers = await asyncio.wait_for(asyncio.shield(call), limit_s)
        except TimeoutError:
            call.add_done_callback(_retrieve)
            trouble = f"the model takes longer than {self._time_limit_s:g} s"
            self._skip(model, len(wanted), trouble, late=call, rest_s=REST_S if is_retry else 0.0)
            return {}
        except Exception as exc:  # whatever a model does wrong, events go on being counted
            log.warning("the model fails, resting for %s s: %r", REST_S, exc)
            self._skip(model, len(wanted), f"the model fails: {type(exc).__name__}", rest_s=REST_S)
            return {}
        if model is self.model:
            self.trouble = ""
        self._meter.count_scores(len(wanted), skipped=0, took_s=time.monotonic() - began_s)
        keys = list(wanted)
        return {
            keys[place]: score
            for places, scores in zip(plan, answers, strict=True)
            for place, score in zip(places, scores, strict=True)
        }

    def _begin(
        self, model: Model, plan: Sequence[Sequence[int]], subjects: Sequence[tuple[Visitor, PriceLevel]]
    ) -> list["asyncio.Future[list[Score]]"]:
        """The calls, each handed over as soon as it is encoded: the model works on it meanwhile."""
        loop = asyncio.get_running_loop()
        calls = []
        for places in plan:
            mine = [subjects[place] for place in places]
            encoded = [encode_visitor(visitor, level, self._idle_ms) for visitor, level in mine]
            visitors = [visitor for visitor, _ in mine]
            calls.append(loop.run_in_executor(self._thread, ask, model, visitors, encoded))
        return calls

    def close(self) -> None:
        """Let the thread end; a call under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ready(self) -> bool:
        if self._late is not None:
            if not self._late.done():
                return False
            self._late = None
        return time.monotonic() >= self._rest_until_s

    def _skip(
        self,
        model: Model,
        number: int,
        trouble: str,
        *,
        rest_s: float,
        late: "asyncio.Future[list[list[Score]]] | None" = None,
    ) -> None:
        """Count so many visitors as skipped, and leave the model alone unless another has taken its place."""
        self._meter.count_scores(0, skipped=number)
        if model is not self.model:
            return
        if not self.trouble:
            log.warning("visitors are not scored: %s", trouble)
        self.trouble = trouble
        self._rest_until_s = max(self._rest_until_s, time.monotonic() + rest_s)
        self._late = late or self._late


def _new_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="scorer")


def _retrieve(call: "asyncio.Future[list[list[Score]]]") -> None:
    """Take the answer nobody waits for, so that a late failure is not reported as lost."""
    if not call.cancelled():
        call.exception()
