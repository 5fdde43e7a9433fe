"""The next-action model of this API process: what it is asked, and how much at once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import numpy as np
from redis.exceptions import RedisError

from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.resources.predictions.sequences import count_last_session
from contracts.heartbeat import NEXT_ACTION
from contracts.scores import Score, round_score
from contracts.visitor import Action
from models.artefacts.host import ModelHost, wait_for_answer
from models.artefacts.source import ModelSource
from models.next_action.encoding import encode_actions, stack, stack_ids, with_rates
from models.next_action.fold import Row
from models.next_action.model import Model
from models.next_action.prices import PriceLevel
from models.next_action.rates import NOTHING, SHOP, Funnel, category_name, product_name, rates_at
from models.next_action.source import CardedModel
from models.online.blob import Learned, add_up
from models.online.publishing import Publisher
from models.online.records import make_records
from models.online.sums import sums_in
from readers.shared_answer import SharedAnswer

_log = logging.getLogger(__name__)

MAX_AT_ONCE = 16
"""Predictions under way and waiting; one takes a millisecond or two."""
TIME_LIMIT_S = 2.0
LEARNED_AGE_S = 5.0
"""What workers have learnt is read again after so long."""


class Opinion(NamedTuple):
    """A score, and the context it was made of: one number per name in `CONTEXT_FEATURES`."""

    score: Score
    context: Row


class NextActionModel:
    """Asks the model of a host, which takes up newer ones while the process runs."""

    def __init__(
        self,
        source: ModelSource[CardedModel],
        metrics: ApiMetrics,
        *,
        idle_ms: int,
        wait: Callable[[], Awaitable[None]],
        read_learned: Callable[[], Awaitable[list[Learned]]] | None = None,
        count_items: Callable[[Sequence[str]], Awaitable[Mapping[str, Funnel]]] | None = None,
    ) -> None:
        self.host = ModelHost(NEXT_ACTION, source)
        self._wait = wait
        self._metrics = metrics
        self._idle_ms = idle_ms
        self._count_items = count_items
        self._learned = read_learned and SharedAnswer(read_learned, max_age_s=LEARNED_AGE_S)
        self._made: tuple[list[Learned], str, Publisher] | None = None
        self._under_way = 0
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to load, so that the first question need not wait for it, and to look for newer models."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Ends the watching; a call under way is not waited for."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self.host.close()

    async def _watch(self) -> None:
        await self._wait()
        await self.host.watch()

    @property
    def trouble(self) -> str:
        """What is wrong with the model there is, or with the newest one; empty for nothing."""
        refusal = self.host.refusal
        if refusal is None:
            return "" if self.host.has_looked.is_set() else "not loaded yet"
        return str(refusal) if isinstance(refusal, ValueError) else f"{type(refusal).__name__} while loading"

    async def find(self) -> CardedModel | None:
        """The model to ask now, once there was time to load a first one; None if none could be loaded."""
        if not self.host.has_looked.is_set():
            try:
                async with asyncio.timeout(TIME_LIMIT_S):
                    await self.host.has_looked.wait()
            except TimeoutError:
                return None
        return self.host.model

    async def predict(self, actions: Sequence[Action], level: PriceLevel) -> Opinion:
        """What the model says after the last of the actions; a 503 `Problem` if it does not in time."""
        started = time.perf_counter()
        model = await self.find()
        if model is None:
            raise self._unavailable("unavailable", "no next-action model could be loaded")
        if self._under_way >= MAX_AT_ONCE:
            raise self._unavailable("busy", "too many predictions at once; try again")
        publisher = await self._publisher(model.version)
        rates = await self._rates(actions[-1]) if model.reads_rates else None
        call = self.host.begin(ask, model, actions, level, self._idle_ms, publisher, rates)
        self._under_way += 1
        call.add_done_callback(self._count_out)  # a call that is given up still occupies the thread
        try:
            opinion = await wait_for_answer(call, TIME_LIMIT_S)
        except TimeoutError:
            raise self._unavailable("slow", f"no prediction within {TIME_LIMIT_S:g} s; try again") from None
        except Exception as exc:  # whatever a model does wrong, the rest of the API is well
            _log.warning("the model failed: %r", exc)
            raise self._unavailable("failed", "the model does not answer") from exc
        self._metrics.observe_prediction(time.perf_counter() - started)
        self._metrics.count_prediction("answered")
        return opinion

    async def _publisher(self, version: str) -> Publisher | None:
        """What workers have learnt of answers to this version of the model; None if nothing, or unknown."""
        if self._learned is None:
            return None
        try:
            parts = await self._learned.get()
        except RedisError as exc:
            _log.info("predictions do without what was learnt: %s", exc)
            return None
        if self._made is None or self._made[0] is not parts or self._made[1] != version:
            self._made = parts, version, Publisher(sums_in(add_up(parts, version).vector))
        return self._made[2] if parts else None

    async def _rates(self, last: Action) -> list[float]:
        """How the product and the category of an action convert; 0 where it is unknown."""
        names = [SHOP, product_name(last.product_id), category_name(last.category or "")]
        counts: Mapping[str, Funnel] = {}
        if self._count_items is not None:
            try:
                counts = await self._count_items(names)
            except RedisError as exc:
                _log.info("predictions do without what is counted of items: %s", exc)
        found = dict.fromkeys(names, NOTHING) | dict(counts)
        return rates_at(last, found.__getitem__, found[SHOP])

    def _count_out(self, _: "asyncio.Future[Opinion]") -> None:
        self._under_way -= 1

    def _unavailable(self, why: str, detail: str) -> Problem:
        code = f"model.{why}"
        self._metrics.count_prediction(code)
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers={"Retry-After": "1"})


def ask(
    model: Model,
    actions: Sequence[Action],
    level: PriceLevel,
    idle_ms: int,
    publisher: Publisher | None = None,
    rates: Sequence[float] | None = None,
) -> Opinion:
    """The opinion of a visitor of whom only these actions are known; raises `ArithmeticError`.

    `rates` are `RATE_FEATURES`, for a model that reads them. The opinion is the model's, corrected by what
    was learnt, if anything.
    """
    steps, context = encode_actions(actions, level, idle_ms)
    batch = stack([(steps, context)])
    if rates is not None:
        batch = with_rates(batch, np.array([rates], dtype=np.float32))
    ids = stack_ids([actions], batch[1]) if model.reads_ids else None
    probabilities, purchase = model.predict(*batch, ids)
    if not (np.isfinite(probabilities).all() and np.isfinite(purchase).all()):
        raise ArithmeticError("the model returned a value that is not a number")
    if publisher is not None:
        records = make_records(batch, probabilities, purchase)
        probabilities, purchase = publisher.improve(records, probabilities, purchase)
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
