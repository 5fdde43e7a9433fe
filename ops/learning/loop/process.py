"""`storepulse learn`: looks after every slot that has a trainer, until a signal."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from connections.asyncio_redis import open_redis_pool
from connections.kafka_check import require_kafka
from connections.kafka_rights import Rights
from contracts.heartbeat import NEXT_ACTION
from contracts.model_steps import Author, StepKind
from contracts.settings import Settings
from contracts.topics import Topics
from models.lifecycle.pairs import PairSums, pair_name, sums_of
from models.lifecycle.sources import Versions
from models.lifecycle.state import BASE, SlotState
from models.lifecycle.store import ModelStore
from models.lifecycle.trainer import AnyTrainer
from models.lifecycle.verdicts import figures_of, interval_of, judge, judge_probation
from models.online.blob import add_up
from models.online.publishing import figures_of as learning_figures
from models.online.sums import sums_in
from models.tracking import log_run
from ops.learning.loop.schedule import RETRY_S, LiveFigures, Past, reason_to_train
from ops.learning.loop.trainers import find_trainers
from ops.learning.loop.work import Came
from ops.models.steps import ModelSteps, Refused, Wanted
from ops.stack.record import settings_environment
from readers.learned import read_learned
from readers.paired import read_paired
from readers.reader import Reader
from stream.runtime.probe import Probe

log = logging.getLogger(__name__)

LOOK_S = 2.0
LIVE_EVERY_S = 600.0
"""Between two looks at how a champion fares that nothing runs beside."""
MOST_OFTEN = 2.0
"""Judging by events rests so many times as long as it took."""
CHECK_LIMIT_S = 900.0
"""A candidate that cannot be checked within this is refused."""
TRAIN_LIMIT_S = 6 * 3_600.0


def run(settings: Settings) -> int:
    """Look after the slots until SIGTERM or SIGINT, or Kafka ends it; returns the exit code."""
    return asyncio.run(_main(settings))


async def _main(settings: Settings) -> int:
    trainers = find_trainers(settings)  # first: extensions make keys and topics known
    topic = Topics(settings.topic_prefix).models
    await require_kafka(settings, Rights((topic,), (topic,)))
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    redis = open_redis_pool(settings)
    try:
        async with ModelSteps(settings) as steps:
            log.info("learning: %s; versions in %s", ", ".join(sorted(trainers)), settings.model_store)
            probe = Probe(
                settings.learn_host,
                settings.learn_port,
                CollectorRegistry(),
                lambda: not stopping.is_set(),
                str,
            )
            probe.start()
            reader, turn = Reader(redis, settings), asyncio.Lock()
            loops = [SlotLoop(settings, trainer, steps, reader, turn) for trainer in trainers.values()]
            looking = [asyncio.create_task(loop.run()) for loop in loops]
            waiting = asyncio.create_task(stopping.wait())
            await asyncio.wait([waiting, *looking], return_when=asyncio.FIRST_COMPLETED)
            for task in (waiting, *looking):
                task.cancel()
            probe.stop()
            ended = await asyncio.gather(*looking, return_exceptions=True)
            failed = [exc for exc in ended if exc is not None and not isinstance(exc, asyncio.CancelledError)]
            for exc in failed:
                log.error("learning ends: %r", exc, exc_info=exc)
            return 1 if failed else 0
    finally:
        await redis.aclose()


class SlotLoop:
    """One slot: at every look the next step, if there is one.

    All it knows is in the topic, in Redis and in the store. Slots work by `turn`: one process at a time.
    """

    def __init__(
        self, settings: Settings, trainer: AnyTrainer, steps: ModelSteps, reader: Reader, turn: asyncio.Lock
    ) -> None:
        self._settings = settings
        self._trainer = trainer
        self._steps = steps
        self._reader = reader
        self._turn = turn
        self._store = ModelStore(Path(settings.model_store))
        self._versions = Versions(trainer.slot, trainer.source(settings), steps.lifecycle, self._store)
        self._training: asyncio.Task[None] | None = None
        self._attempt_s = self._rest_until_s = self._judge_at_s = 0.0
        self._judged: PairSums | None = None
        self._said = ""

    async def run(self) -> None:
        """Until cancelled; raises `KafkaError` or `TimeoutError` where a step cannot be written."""
        try:
            while True:
                try:
                    await self.look()
                except Refused as exc:  # somebody else was first
                    log.info("%s: %s", self._trainer.slot, exc)
                except RedisError as exc:
                    log.warning("%s: Redis does not answer, looking again: %s", self._trainer.slot, exc)
                await asyncio.sleep(LOOK_S)
        finally:
            if self._training is not None:
                self._training.cancel()
                await asyncio.wait([self._training])

    @property
    def _state(self) -> SlotState:
        return self._steps.lifecycle.state(self._trainer.slot)

    async def look(self) -> None:
        """Take the next step, if it is time for one."""
        state = self._state
        if self._training is not None and self._training.done():
            done, self._training = self._training, None
            done.result()
        if state.is_pinned:
            return
        is_free = not state.beside or self._is_proved(state)
        if state.candidate and is_free:
            await self._check(state)
        elif state.beside:
            await self._judge(state)
        if not state.candidate and is_free and self._training is None:
            await self._begin_training()
        if self._trainer.tasks and not (state.beside or state.candidate or self._training):
            self._judged = await self._judge_by_events(state, LIVE_EVERY_S) or self._judged

    def _is_proved(self, state: SlotState) -> bool:
        """Whether a champion on probation need not prove itself any longer."""
        waited_s = time.time() - state.at_ms / 1_000
        return state.is_on_probation and waited_s > self._settings.learn_every_s

    async def _begin_training(self) -> None:
        past = self._past()
        applied = sum(meta.applied for meta in await self._reader.metas())
        live = await self._live()
        now_s, every_s = time.time(), self._settings.learn_every_s
        why = reason_to_train(past, live, now_s=now_s, applied=applied, every_s=every_s)
        if not why:
            return
        self._attempt_s = now_s
        self._training = asyncio.create_task(self._train(why, applied))

    async def _train(self, why: str, applied: int) -> None:
        found = await self._work("train", limit_s=TRAIN_LIMIT_S)
        if found["came"] != Came.MADE:
            self._say(str(found["reason"]))
            return
        version = found["version"]
        if self._state.stage_of(version) is not None:
            self._say(f"nothing new: training made {version} again")
            return
        await self._take(StepKind.CANDIDATE, version, why, {**found["figures"], "applied": applied})

    async def _check(self, state: SlotState) -> None:
        version = state.candidate
        if time.time() < self._rest_until_s:
            return
        found = await self._work("check", version, state.champion, limit_s=CHECK_LIMIT_S)
        if found["came"] == Came.FIT:
            if state.is_on_probation:
                await self._take(StepKind.CONFIRM, state.champion, f"{version} is to be tried next", {})
            await self._take(StepKind.SHADOW, version, "it passed the checks", found["figures"])
        elif found["came"] == Came.UNFIT:
            await self._take(StepKind.REJECT, version, str(found["reason"]), {})
        else:
            self._rest_until_s = time.time() + RETRY_S
            self._say(str(found["reason"]))

    async def _judge(self, state: SlotState) -> None:
        """Decide about the version beside the champion, if enough is known."""
        if self._trainer.tasks:
            sums = await self._judge_by_events(state, self._settings.archive_flush_s)
        else:
            names = [await self._digest(version) for version in (state.champion, state.beside)]
            sums = await read_paired(self._reader, pair_name(self._trainer.slot, *names))
        if sums is None:
            return
        interval = interval_of(sums.sessions, sums.difference, sums.square)
        judged = judge_probation if state.is_on_probation else judge
        verdict = judged(sums, interval, waited_s=time.time() - state.at_ms / 1_000)
        figures = figures_of(sums, interval)
        if not (verdict.is_better or verdict.is_worse):
            self._say(f"{state.beside} beside {state.champion}: {verdict.reason}")
        elif state.is_on_probation and verdict.is_better:
            await self._take(StepKind.ROLL_BACK, state.champion, verdict.reason, figures)
        elif state.is_on_probation:
            await self._take(StepKind.CONFIRM, state.champion, verdict.reason, figures)
        elif verdict.is_better:
            await self._take(StepKind.PROMOTE, state.beside, verdict.reason, figures)
        else:
            await self._take(StepKind.REJECT, state.beside, verdict.reason, figures)

    async def _judge_by_events(self, state: SlotState, every_s: float) -> PairSums | None:
        """The sums of champion and version beside it, where new events are looked at; None: not now."""
        began_s = time.monotonic()
        if began_s < self._judge_at_s:
            return None
        found = await self._work("judge", state.champion, state.beside, limit_s=CHECK_LIMIT_S)
        self._judge_at_s = time.monotonic() + max(every_s, MOST_OFTEN * (time.monotonic() - began_s))
        if found["came"] == Came.JUDGED:
            return sums_of(found["counts"])
        self._say(str(found["reason"]))
        return None

    async def _take(self, kind: StepKind, version: str, reason: str, figures: Mapping[str, float]) -> None:
        step = await self._steps.take(
            Wanted(self._trainer.slot, kind, version, Author.LEARNER, reason, figures)
        )
        state = self._state
        in_use = {state.champion, state.beside, state.candidate, *state.former[-3:]}
        await asyncio.to_thread(self._store.prune, self._trainer.slot, in_use)
        numbers = {name: float(value) for name, value in figures.items()}
        named = {"slot": step.slot, "version": version, "step": kind.value, "reason": reason}
        name = f"{step.slot}-{step.number:04d}-{kind.value}-{version}"
        try:
            await asyncio.to_thread(log_run, self._runs, "storepulse-models", name, named, numbers)
        except Exception as exc:  # whatever a tracking server does, models are looked after
            log.warning("the step is in no log of runs: %r", exc)

    @property
    def _runs(self) -> Path:
        return Path(self._settings.model_store) / ".runs"

    async def _digest(self, version: str) -> str:
        """The version that workers name in their figures."""
        if version != BASE:
            return version
        return str((await asyncio.to_thread(self._versions.source_of(BASE).load)).version)

    def _past(self) -> Past:
        made = [
            step
            for step in self._steps.lifecycle.steps
            if step.slot == self._trainer.slot and step.kind is StepKind.CANDIDATE
        ]
        if not made:
            return Past(attempt_s=self._attempt_s)
        applied = int(made[-1].figures.get("applied", 0))
        return Past(made[-1].at_ms / 1_000, self._attempt_s, applied)

    async def _live(self) -> LiveFigures | None:
        """How the model fares of late; None where nobody can tell."""
        judged = self._judged
        if judged is not None and judged.base is not None and judged.answers:
            base = judged.base / judged.answers
            return LiveFigures(judged.answers, judged.mean_loss(judged.champion), base)
        if self._trainer.slot != NEXT_ACTION:
            return None
        parts = await read_learned(self._reader, NEXT_ACTION)
        champion = await self._digest(self._state.champion)
        known = [part for part in parts if part.version == champion]
        if not known:
            return None
        tasks = learning_figures(sums_in(add_up(known, champion).vector))
        losses = {
            name: sum(task.members[name].log_loss or 0.0 for task in tasks.values())
            for name in ("model", "base_rates")
        }
        return LiveFigures(min(task.judged for task in tasks.values()), losses["model"], losses["base_rates"])

    async def _work(self, *words: str, limit_s: float) -> dict[str, Any]:
        """What came of a piece of work in a process of its own, which ends with us, once it is our turn."""
        async with self._turn:
            return await self._work_now(*words, limit_s=limit_s)

    async def _work_now(self, *words: str, limit_s: float) -> dict[str, Any]:
        work, slot = words[0], self._trainer.slot
        argv = [sys.executable, "-P", "-m", "ops.learning.loop.work", work, slot, *words[1:]]
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **settings_environment(self._settings)},
        )
        try:
            async with asyncio.timeout(limit_s):
                said, _ = await process.communicate()
        except TimeoutError:
            return {"came": Came.UNFIT, "reason": f"it was not done in {limit_s:.0f} s"}
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            return {"came": Came.UNFIT, "reason": f"to {work} it ended with exit code {process.returncode}"}
        found: dict[str, Any] = orjson.loads(said)
        return found

    def _say(self, what: str) -> None:
        """Log what is new."""
        if what != self._said:
            self._said = what
            log.info("%s: %s", self._trainer.slot, what)
