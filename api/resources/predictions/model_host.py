"""The next-action model of this API process: loaded and asked in a thread of its own, a few at a time."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, NamedTuple

import numpy as np

from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.resources.predictions.model_source import CardedModel, ModelSource
from api.resources.predictions.sequences import count_last_session
from contracts.scores import Score, round_score
from contracts.visitor import Action
from models.next_action.encoding import encode_actions, stack, stack_ids
from models.next_action.fold import Row
from models.next_action.model import Model
from models.next_action.prices import PriceLevel

_log = logging.getLogger(__name__)

MAX_AT_ONCE = 16
"""Predictions under way and waiting; one takes a millisecond or two."""
TIME_LIMIT_S = 2.0
LOOK_EVERY_S = 5.0
"""A new artefact in the folder is noticed this long after at most, once somebody asks."""


class Opinion(NamedTuple):
    """A score, and the context it was made of: one number per name in `CONTEXT_FEATURES`."""

    score: Score
    context: Row


class ModelHost:
    """Holds the newest model that could be loaded. `trouble` says what is wrong with the one there is."""

    def __init__(self, source: ModelSource, metrics: ApiMetrics, *, idle_ms: int) -> None:
        self._source = source
        self._metrics = metrics
        self._idle_ms = idle_ms
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._under_way = 0
        self._stamp: object = self  # unlike any
        self._looked_s = -LOOK_EVERY_S
        self._looking: asyncio.Task[None] | None = None
        self.model: CardedModel | None = None
        self.trouble = "not loaded yet"
        self.has_looked = False
        """Whether a first model was loaded, or refused."""

    def start(self) -> None:
        """Begins to load, so that the first question need not wait for it."""
        self._look_again()

    async def close(self) -> None:
        """Waits for what is under way in the thread."""
        if self._looking is not None:
            await asyncio.wait([self._looking])
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def find(self) -> CardedModel | None:
        """The model to ask now, after a look for a newer one; None if none could ever be loaded."""
        self._look_again()
        if self.model is None and self._looking is not None:
            await asyncio.wait([self._looking], timeout=TIME_LIMIT_S)
        return self.model

    async def predict(self, actions: Sequence[Action], level: PriceLevel) -> Opinion:
        """What the model says after the last of the actions; a 503 `Problem` if it does not in time."""
        started = time.perf_counter()
        model = await self.find()
        if model is None:
            raise self._unavailable("unavailable", "no next-action model could be loaded")
        if self._under_way >= MAX_AT_ONCE:
            raise self._unavailable("busy", "too many predictions at once; try again")
        call = asyncio.get_running_loop().run_in_executor(
            self._thread, ask, model, actions, level, self._idle_ms
        )
        self._under_way += 1
        call.add_done_callback(self._count_out)  # a call that is given up still occupies the thread
        try:
            opinion = await asyncio.wait_for(asyncio.shield(call), TIME_LIMIT_S)
        except TimeoutError:
            raise self._unavailable("slow", f"no prediction within {TIME_LIMIT_S:g} s; try again") from None
        except Exception as exc:  # whatever a model does wrong, the rest of the API is well
            _log.warning("the model fails: %r", exc)
            raise self._unavailable("failed", "the model does not answer") from exc
        self._metrics.observe_prediction(time.perf_counter() - started)
        self._metrics.count_prediction("answered")
        return opinion

    def _count_out(self, call: "asyncio.Future[Opinion]") -> None:
        self._under_way -= 1
        if not call.cancelled():
            call.exception()  # taken, so that one nobody waited for is not reported as lost

    def _unavailable(self, why: str, detail: str) -> Problem:
        code = f"model.{why}"
        self._metrics.count_prediction(code)
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers={"Retry-After": "1"})

    def _look_again(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S or (self._looking is not None and not self._looking.done()):
            return
        self._looked_s = now_s
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        run: Callable[..., Any] = asyncio.get_running_loop().run_in_executor
        try:
            stamp = await run(self._thread, self._source.stamp)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self.model = await run(self._thread, self._source.load)
            self.trouble = ""
        except Exception as exc:  # a bad artefact is refused; the one before goes on answering
            self.trouble = str(exc) if isinstance(exc, ValueError) else f"{type(exc).__name__} while loading"
            _log.warning("the next-action model is refused: %r", exc)
        else:
            _log.info("answers with the next-action model %s", self.model.version if self.model else None)
        finally:
            self.has_looked = True


def ask(model: Model, actions: Sequence[Action], level: PriceLevel, idle_ms: int) -> Opinion:
    """The model's opinion of a visitor of whom only these actions are known; raises `ArithmeticError`."""
    steps, context = encode_actions(actions, level, idle_ms)
    batch = stack([(steps, context)])
    ids = stack_ids([actions], batch[1]) if model.reads_ids else None
    probabilities, purchase = model.predict(*batch, ids)
    if not (np.isfinite(probabilities).all() and np.isfinite(purchase).all()):
        raise ArithmeticError("the model gave a number that is none")
    (reasons,) = model.reasons(batch[2])
    score = Score(
        model.version,
        actions[-1].at_ms,
        count_last_session(actions, idle_ms),
        1,
        tuple(probabilities[0].tolist()),
        float(purchase[0]),
        tuple((code, effect) for code, effect in reasons),
    )
    return Opinion(round_score(score), context)
