"""What the model slots do in a round: they are asked all at once, and one's trouble is nobody else's."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contracts.events import Event
from contracts.heartbeat import SlotReport
from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.host import ModelHost
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.pairs import beside_key
from models.lifecycle.sources import Versions
from models.lifecycle.store import ModelStore
from stream.batch.result import BatchResult
from stream.runtime.metrics import Meter
from stream.scoring.budget import budget_of
from stream.scoring.companions import SlotCompanion
from stream.scoring.drift_watch import DriftWatch
from stream.scoring.scorer import Scorer
from stream.scoring.shadow import Beside, Shadows
from stream.scoring.slots import AnySlot, AskedVisitor, Observation, Shop, SlotTally
from stream.scoring.waiting import Place, Queue, Turn, Wait, Waiting
from stream.state.store import Store

log = logging.getLogger(__name__)


class Answers(NamedTuple):
    """What slots say of the visitors of one result, by slot and visitor, and what their shadows say.

    `late` has the states of those who waited and were not in the result.
    """

    by_slot: dict[str, dict[str, Any]]
    beside: Mapping[str, Beside]
    late: dict[str, Visitor]


class SlotSteps:
    """The slots of a worker with a model host each. One instance per worker, on the worker's event loop."""

    def __init__(
        self, settings: Settings, slots: Collection[AnySlot], meter: Meter, lifecycle: Lifecycle | None = None
    ) -> None:
        """`lifecycle` says which version of each slot's model is the champion; None: what slots come with."""
        self._budget_ms = settings.scoring_budget_ms
        self.drift = DriftWatch(meter)
        self.scorers: dict[str, Scorer[Any, Any, Any]] = {}
        self.shadows = Shadows()
        store = ModelStore(Path(settings.model_store))
        for slot in slots:
            slot_meter = meter.slot(slot.name)
            base = slot.source(settings)
            versions = Versions(slot.name, base, lifecycle or Lifecycle(), store)
            host = ModelHost(slot.name, versions.champion(), on_refusal=slot_meter.count_refusal)
            self.scorers[slot.name] = Scorer(slot, host, slot_meter)
            self.shadows.add(slot, host, versions)

    async def watch(self) -> None:
        """Take up new models until cancelled; without a slot wait for ever."""
        if not self.scorers:
            await asyncio.Event().wait()
        hosts = [scorer.host.watch() for scorer in self.scorers.values()]
        await asyncio.gather(self.shadows.watch(), *hosts)

    def reports(self) -> tuple[SlotReport, ...]:
        """How every slot goes, for the heartbeat."""
        return tuple(scorer.report(self.drift.lines(name)) for name, scorer in self.scorers.items())

    def judge(self, result: BatchResult) -> None:
        """Judge what was kept of visitors who acted (`BatchResult.new_events`), before anything is asked."""
        for user_id, before, events in result.new_events:
            self._judge(result, user_id, before, events)

    def judge_silence(self, result: BatchResult) -> None:
        """Judge what was kept of visitors whose deadlines led to this result: time has passed."""
        for user_id, visitor in list(result.visitors.items()):
            if visitor.extra:
                self._judge(result, user_id, visitor, ())

    def settle(self, partition: int, states: Mapping[str, Any], result: BatchResult) -> None:
        """Let companions add to a judged result; `states` are those of components before it."""
        self.shadows.settle(result)
        for scorer, companion in self._companions():
            if scorer.host.model is None:
                continue
            try:
                companion.settle(partition, states, result, scorer.host.model.version)
            except Exception as exc:  # whatever is wrong with a companion, events go on being counted
                scorer.fail(exc)

    async def watch_companions(self, store: Store, owned: Callable[[], Collection[int]]) -> None:
        """What companions do beside the rounds, until cancelled."""
        watching = [companion.watch(store, owned) for _, companion in self._companions()]
        await asyncio.gather(asyncio.Event().wait(), *watching)

    async def ask(
        self,
        results: Sequence[BatchResult],
        shops: Sequence[Shop],
        late_ms: int = 0,
        queues: Sequence[Queue] | None = None,
    ) -> list[Answers]:
        """What each slot says of the visitors of each result; a model is asked about those of all at once.

        `shops` has what is known of the shop after each; `late_ms` is the age of their oldest event. Those
        in the `queues` of the same partitions are asked about first, in their newest states; without queues
        nobody waits.
        """
        scorers = list(self.scorers.values())
        for scorer, companion in self._companions():
            if scorer.host.model is not None:
                companion.begin(scorer.host.model.version)
        budget_s = budget_of(self._budget_ms, [result.clock for result in results], late_ms)
        wanted = {scorer.slot.name: _wanted(scorer, results, shops) for scorer in scorers}
        calls = self.shadows.begin(wanted, max([result.clock.max_event_ms for result in results], default=0))
        turns = [Turn(scorer.slot.name, queues, results) if queues else None for scorer in scorers]
        late = [_late(scorer, turn, shops, budget_s) for scorer, turn in zip(scorers, turns, strict=True)]
        found = await asyncio.gather(*[
            self._score(scorer, wanted[scorer.slot.name], budget_s, turn, waited)
            for scorer, turn, waited in zip(scorers, turns, late, strict=True)
        ])  # fmt: skip
        beside = await self.shadows.finish(calls, len(results))
        answers = [Answers({name: {} for name in self.scorers}, own, {}) for own in beside]
        for name, by_visitor, waited in zip(self.scorers, found, late, strict=True):
            for (place, user_id), answer in by_visitor.items():
                answers[place].by_slot[name][user_id] = answer
                if (place, user_id) in waited:
                    answers[place].late[user_id] = waited[place, user_id].visitor
        return answers

    async def _score(
        self,
        scorer: Scorer[Any, Any, Any],
        fresh: Mapping[Place, AskedVisitor],
        budget_s: float | None,
        turn: Turn | None,
        late: Mapping[Place, AskedVisitor],
    ) -> dict[Place, Any]:
        """Ask one model, and let wait, or go, whom there was no time for."""
        if turn is None:
            return await scorer.score(fresh, budget_s)
        now_s = time.monotonic()

        def keep(key: Place, kind: str) -> bool:
            subject = fresh.get(key) or late[key]
            return turn.keep(key, Wait(now_s, kind, subject.level))

        found = await scorer.score(fresh, budget_s, late=late, keeps=keep)
        done_s = time.monotonic()
        scorer.note_waits([done_s - since_s for since_s in turn.waits(late.keys() & found.keys())])
        turn.end()
        if turn.left_out:
            scorer.leave_out(turn.left_out)
        return found

    def let_go(self, waiting: Waiting, result: BatchResult) -> None:
        """Let those wait no longer of whom deadlines decided something: that went by the scores they had."""
        if not waiting:
            return
        decided = [
            user_id
            for user_id, visitor in result.visitors.items()
            if (before := result.before[user_id]) is None or visitor.predictions != before.predictions
        ]
        for name, kinds in waiting.let_go(decided).items():
            self.scorers[name].leave_out(kinds)

    def suspects(self) -> set[tuple[int, str]]:
        """Visitors whose state a slot could not make anything of when it was last asked, by place and id."""
        return {scorer.suspect for scorer in self.scorers.values() if scorer.suspect is not None}

    def take(self, result: BatchResult, answers: Answers) -> None:
        """Put the answers about visitors of a result, made of these very states, into it."""
        result.visitors.update(answers.late)
        result.waited.update(answers.late)
        for name, by_visitor in answers.by_slot.items():
            scorer = self.scorers[name]
            try:
                scorer.slot.take(result, by_visitor)
                shadow = self.shadows.of(name)
                if shadow is not None and name in answers.beside:
                    shadow.take(result, by_visitor, answers.beside[name])
            except Exception as exc:  # whatever a slot does wrong, events go on being counted
                scorer.fail(exc)

    def close(self) -> None:
        """Let the models' threads end."""
        for scorer in self.scorers.values():
            scorer.host.close()
        self.shadows.close()

    def _companions(self) -> Iterator[tuple[Scorer[Any, Any, Any], SlotCompanion]]:
        for scorer in self.scorers.values():
            for companion in scorer.slot.companions:
                yield scorer, companion

    def _judge(
        self, result: BatchResult, user_id: str, before: Visitor | None, events: Sequence[Event]
    ) -> None:
        for name, scorer in self.scorers.items():
            after = result.visitors[user_id]
            kept = after.extra.get(name)
            if not scorer.slot.judges:
                continue
            outcome = Observation(user_id, before, after, events)
            self._judge_beside(scorer, result, outcome)
            if kept is None:
                continue
            after = result.visitors[user_id]
            tally = SlotTally(name, result.prediction_results)
            try:
                left = scorer.slot.judge(kept, outcome, tally)
            except Exception as exc:  # what was kept is of no use
                scorer.fail(exc)
                left = None
            if left != kept:
                result.visitors[user_id] = scorer.slot.with_kept(after, left)

    def _judge_beside(self, scorer: Scorer[Any, Any, Any], result: BatchResult, outcome: Observation) -> None:
        """Judge what was kept for both versions; without a version in the shadow, let go of what is left."""
        slot, key = scorer.slot, beside_key(scorer.slot.name)
        if key not in outcome.after.extra:
            return
        shadow = self.shadows.of(slot.name)
        try:
            if shadow is not None:
                shadow.judge(result, outcome)
                return
        except Exception as exc:  # what was kept is of no use
            log.info("what was kept for the shadow of %s is of no use: %r", slot.name, exc)
        extra = {name: value for name, value in outcome.after.extra.items() if name != key}
        result.visitors[outcome.user_id] = outcome.after._replace(extra=extra)


def _late(
    scorer: Scorer[Any, Any, Any], turn: Turn | None, shops: Sequence[Shop], budget_s: float | None
) -> dict[Place, AskedVisitor]:
    """Those who waited whom a slot is asked about now, longest first, by place of the result and id."""
    if turn is None:
        return {}
    try:
        chosen = turn.begin(scorer.fitting(budget_s), scorer.slot.select)
    except Exception as exc:  # whatever a slot does wrong, events go on being counted
        scorer.fail(exc)
        return {}
    return {
        (place, user_id): AskedVisitor(user_id, visitor, level, shops[place].items)
        for (place, user_id), (visitor, level) in chosen.items()
    }


def _wanted(
    scorer: Scorer[Any, Any, Any], results: Sequence[BatchResult], shops: Sequence[Shop]
) -> dict[tuple[int, str], AskedVisitor]:
    """The visitors that a slot is asked about, by place of the result and id."""
    try:
        return {
            (place, user_id): AskedVisitor(user_id, visitor, *shop)
            for place, (result, shop) in enumerate(zip(results, shops, strict=True))
            for user_id, visitor in result.visitors.items()
            if scorer.slot.select(visitor)
        }
    except Exception as exc:  # whatever a slot does wrong, events go on being counted
        scorer.fail(exc)
        return {}
