"""The shadow of a slot: the version that runs beside the champion, asked about a share of the same visitors.

It publishes nothing. Its answers wait in the visitor's state beside the champion's, both are judged by what
the visitor then does, and the sums of both ride in the commit. Without such a version there is no cost.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.visitor import Visitor
from models.artefacts.host import LOOK_EVERY_S, ModelHost, wait_for_answer
from models.lifecycle.pairs import ASKED, LATE, beside_key, counts_of, pair_name
from models.lifecycle.sources import Versions
from stream.batch.result import BatchResult
from stream.scoring.comparison import Comparison
from stream.scoring.judging import Observation
from stream.scoring.sampler import Sampler
from stream.scoring.slots import MOST_VISITORS, AnySlot, AskedVisitor

log = logging.getLogger(__name__)

Place = tuple[int, str]
"""Of a visitor: place of the result in the round, and id."""

MOST_ASKED_PER_S = 100
"""Visitors a second (of event time) whom the shadow is asked about in a worker."""
GRACE_S = 0.05
"""Time that a round gives the shadow once the champion has answered."""


class Call(NamedTuple):
    """A question under way: about whom, by place of the result and id, for which pair of versions.

    `answers` None: it was not asked, the call before is not done.
    """

    keys: Sequence[Place]
    pair: str
    answers: "asyncio.Future[Sequence[Any]] | None"


class Beside(NamedTuple):
    """What came of it for one result, by visitor; of those `asked` some may have no answer."""

    pair: str
    asked: Sequence[str]
    answers: Mapping[str, Any]


class Shadow:
    """One instance per slot and worker, on the worker's event loop."""

    def __init__(
        self, slot: AnySlot, champion: ModelHost[Any], versions: Versions[Any], comparison: Comparison
    ) -> None:
        self.slot = slot
        self.host: ModelHost[Any] = ModelHost(f"{slot.name} in the shadow", versions.beside())
        self._champion = champion
        self._key = beside_key(slot.name)
        self._versions = versions
        self._comparison = comparison
        self._sampler = Sampler(MOST_ASKED_PER_S)
        self._late: asyncio.Future[Any] | None = None
        self.grace_s = GRACE_S

    @property
    def is_on(self) -> bool:
        """Whether there is a version to ask, and one to compare it with."""
        return self.host.model is not None and self._champion.model is not None

    async def watch(self) -> None:
        """Take up what runs beside the champion, and let go of it, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Load the version that runs beside the champion now, if it is another than before."""
        if self._versions.lifecycle.state(self.slot.name).beside:
            await self.host.look()
        elif self.host.model is not None:
            self.host.let_go()

    def begin(self, wanted: Mapping[Place, AskedVisitor], at_ms: int) -> Call | None:
        """Ask about the visitors who are chosen, while the champion is asked; `at_ms` is event time."""
        self._sampler.see(len(wanted), at_ms)
        keys = [place for place in wanted if self._sampler.chooses(place[1])][:MOST_VISITORS]
        if not keys:
            return None
        if self._late is not None and not self._late.done():
            return Call(keys, self._pair, None)
        try:
            inputs = self.slot.encode_all([wanted[key] for key in keys])
        except Exception:  # whatever the visitor is, the champion's scorer finds it too and says so
            return None
        visitors = [wanted[key].visitor for key in keys]
        return Call(keys, self._pair, self.host.begin(self.slot.ask, self.host.model, visitors, inputs))

    async def finish(self, call: Call, results: int) -> list[Beside]:
        """What it says of the visitors of each result; nothing where it is late, fails, or was replaced."""
        found: dict[Place, Any] = {}
        try:
            if call.answers is not None:
                answers = await wait_for_answer(call.answers, self.grace_s)
                if call.pair == self._pair:
                    found = dict(zip(call.keys, answers, strict=True))
        except TimeoutError:
            self._late = call.answers
        except Exception as exc:  # whatever a version in the shadow does wrong, its figures show it
            log.info("the version in the shadow of %s fails: %r", self.slot.name, exc)
        return [
            Beside(
                call.pair,
                [user_id for at, user_id in call.keys if at == place],
                {user_id: answer for (at, user_id), answer in found.items() if at == place},
            )
            for place in range(results)
        ]

    def take(self, result: BatchResult, champion: Mapping[str, Any], beside: Beside) -> None:
        """Keep what both say of visitors of a result."""
        pair, asked, answers = beside
        late = sum(user_id in champion and user_id not in answers for user_id in asked)
        self._count(result, pair, {ASKED: len(asked), LATE: late})
        for user_id, answer in champion.items():
            visitor = result.visitors[user_id]
            kept = self._kept(visitor, pair)
            if user_id in answers:
                left = self._comparison.keep(kept, visitor, answer, answers[user_id])
            elif kept is not None:
                left = self._comparison.skip(kept)
            else:
                continue
            if left is not kept:
                result.visitors[user_id] = self._with(visitor, pair, left)

    def judge(self, result: BatchResult, outcome: Observation) -> None:
        """Judge what is kept of a visitor by what they did; what was kept for another pair is dropped."""
        visitor, pair = result.visitors[outcome.user_id], self._pair
        if self._key not in visitor.extra:
            return
        kept = self._kept(visitor, pair)
        left, session = (None, None) if kept is None else self._comparison.judge(kept, outcome)
        if session is not None:
            self._count(result, pair, counts_of(session))
        if left is None or left != kept:
            result.visitors[outcome.user_id] = self._with(visitor, pair, left)

    def settle(self, result: BatchResult) -> None:
        """Judge the sessions that a result ends."""
        pair = self._pair
        for visitor in result.prediction_results.ended:
            kept = self._kept(visitor, pair)
            session = None if kept is None else self._comparison.end(kept, visitor)
            if session is not None:
                self._count(result, pair, counts_of(session))

    @property
    def _pair(self) -> str:
        return pair_name(self.slot.name, self._champion.version, self.host.version)

    def _kept(self, visitor: Visitor, pair: str) -> Any:
        """What is kept of a visitor for these two versions; None for nothing."""
        found = visitor.extra.get(self._key)
        return found[1] if found is not None and found[0] == pair else None

    def _with(self, visitor: Visitor, pair: str, kept: Any) -> Visitor:
        extra = {name: value for name, value in visitor.extra.items() if name != self._key}
        if kept is not None:
            extra[self._key] = (pair, kept)
        return visitor._replace(extra=extra)

    def _count(self, result: BatchResult, pair: str, changes: Mapping[str, int]) -> None:
        sums = result.prediction_results.paired.setdefault(pair, {})
        for name, change in changes.items():
            if change:
                sums[name] = sums.get(name, 0) + change


class Shadows:
    """The shadows of all slots whose versions can be compared; those that are off cost nothing."""

    def __init__(self) -> None:
        self._shadows: dict[str, Shadow] = {}

    def add(self, slot: AnySlot, champion: ModelHost[Any], versions: Versions[Any]) -> None:
        """Let versions run beside the champion of a slot."""
        comparison = slot.comparison()
        if comparison is not None:
            self._shadows[slot.name] = Shadow(slot, champion, versions, comparison)

    def of(self, slot: str) -> Shadow | None:
        """That of a slot, if it is on."""
        shadow = self._shadows.get(slot)
        return shadow if shadow is not None and shadow.is_on else None

    async def watch(self) -> None:
        """Take up and let go of versions until cancelled."""
        watching = [shadow.watch() for shadow in self._shadows.values()]
        await asyncio.gather(asyncio.Event().wait(), *watching)

    async def look(self) -> None:
        """What `watch` does from time to time."""
        for shadow in self._shadows.values():
            await shadow.look()

    def begin(self, wanted: Mapping[str, Mapping[Place, AskedVisitor]], at_ms: int) -> dict[str, Call]:
        """The questions to those that are on, by slot."""
        calls = {}
        for name, visitors in wanted.items():
            shadow = self.of(name)
            call = None if shadow is None else shadow.begin(visitors, at_ms)
            if call is not None:
                calls[name] = call
        return calls

    async def finish(self, calls: Mapping[str, Call], results: int) -> list[dict[str, Beside]]:
        """What they say of the visitors of each result, by slot."""
        found: list[dict[str, Beside]] = [{} for _ in range(results)]
        for name, call in calls.items():
            for place, beside in enumerate(await self._shadows[name].finish(call, results)):
                found[place][name] = beside
        return found

    def settle(self, result: BatchResult) -> None:
        """Judge the sessions that a result ends."""
        if result.prediction_results.ended:
            for name in self._shadows:
                shadow = self.of(name)
                if shadow is not None:
                    shadow.settle(result)

    def close(self) -> None:
        """Let the threads end."""
        for shadow in self._shadows.values():
            shadow.host.close()
