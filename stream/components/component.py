"""Components: state beside the visitors', each in a module of its own that is registered.

A component keeps state per partition (loaded with the claim, kept in memory), or per subject (a blob for
every visitor, customer or product, loaded when a batch needs it), or only adds to counters. Its steps are
pure: plain values in, a `Change` out, which rides in the commit of the batch. Nothing of it survives a rewind
in memory: the partition is claimed again, and everything is loaded anew.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from contracts.customers import CustomerReport
from contracts.subjects import Subject, SubjectKind
from contracts.visitor import Visitor
from stream.batch.counts import Counts
from stream.batch.entries import Clock
from stream.batch.records import Record
from stream.batch.result import NO_CHANGE, Change, NewEvents
from stream.batch.step import Screen
from stream.state.commit import ClaimRead

S = TypeVar("S")
V = TypeVar("V")


class SubjectValues(NamedTuple, Generic[V]):
    """Values by subject: each is a blob under `start` and the subject's id, which expires after `ttl_s`.

    Values of no `kind` of subject are by ids of another sort, and are not forgotten with anybody.

    `check` looks at all of a value and raises for one that nobody of us wrote; it is asked where a step has
    failed, so that the value goes into quarantine.

    It expires in Redis, counted from its last write. A worker that has it in memory still goes on with it, so
    one that must end on time has to keep the time in itself.
    """

    kind: SubjectKind | None
    start: str
    ttl_s: int
    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]
    check: Callable[[V], None] | None = None


class Applied(NamedTuple, Generic[V]):
    """What a component sees of a batch, of deadlines or of records that were applied.

    `counts` are of the new actions; `new_events` is filled if any component `wants_events`. `values` has the
    component's value of each subject it asked for (None: there is none). `reports` are what is to be told of
    logins. `before` has the states before of all of `visitors` (None: unknown). `state` is the component's
    own, for `subjects`.
    """

    clock: Clock
    counts: Counts
    visitors: Mapping[str, Visitor]
    new_events: Sequence[NewEvents]
    values: Mapping[str, V | None]
    reports: Sequence[CustomerReport] = ()
    before: Mapping[str, Visitor | None] = {}
    state: Any = None


class Fired(NamedTuple, Generic[V]):
    """Subjects whose timers of one kind were passed by the watermark, and the component's values of them."""

    kind: str
    subjects: Sequence[str]
    watermark_ms: int
    values: Mapping[str, V | None]


class TopicItem(Protocol):
    """One record of an input topic on its way through the stream, read already."""

    @property
    def offset(self) -> int: ...


T = TypeVar("T", bound=TopicItem)


class TopicRecords(NamedTuple, Generic[T, V]):
    """Records of an input topic that are to be applied, and what their component asked for beside them."""

    items: Sequence[T]
    clock: Clock
    values: Mapping[str, V | None]
    looked_up: Any


class Source(NamedTuple):
    """Where records come from."""

    topic: str
    partition: int
    now_ms: int


class StateReader(Protocol):
    """Questions to the state of one partition, for components that must look something up."""

    @property
    def partition(self) -> int:
        """The partition's number."""
        ...

    @property
    def is_new(self) -> bool:
        """Whether no event of this partition was ever applied."""
        ...

    async def fields(self, key: str, names: Collection[str]) -> Mapping[str, str]:
        """Fields of a hash, as far as they are there."""
        ...

    async def keys_from(self, start: str) -> Sequence[str]:
        """What follows `start` in every key that begins with it."""
        ...


class Component(Generic[S, V]):
    """The base of components: every step does nothing unless it is overridden.

    `S` is the state per partition, `V` the value of a subject. A step must not raise: the worker would end,
    with nothing of the batch written, and meet the same records again after its restart.
    """

    name: str
    reads: Sequence[ClaimRead] = ()
    """What is read with the claim, for `load`."""
    values: SubjectValues[V] | None = None
    timers: Sequence[str] = ()
    """Kinds of timers it sets and fires; their subjects are those of `values`."""
    wants_events: bool = False
    """Whether it reads `Applied.new_events`."""

    def load(self, found: Mapping[str, Any]) -> S:
        """The state of a partition from what was read with the claim, by key (see `Claim.found`)."""
        return None  # type: ignore[return-value]  # of one that keeps none

    def screen(self, state: S) -> Screen | None:
        """What keeps events out of batches, if anything."""
        return None

    def subjects(self, applied: Applied[V]) -> Collection[str]:
        """Ids of the subjects whose values `apply` needs; `applied.values` is empty yet."""
        return ()

    def apply(self, state: S, applied: Applied[V]) -> Change:
        """What a batch changes."""
        return NO_CHANGE

    def fire(self, state: S, fired: Fired[V]) -> Change:
        """What timers lead to. Each of them is gone unless the change sets it again."""
        return NO_CHANGE

    def forget(self, state: S, subject: Subject) -> Change:
        """What else is to be removed of a subject, whose own value, timers and state blob go anyway."""
        return NO_CHANGE

    def size(self, state: S) -> int:
        """About how many bytes of memory the state of a partition takes, without values of subjects."""
        return 0


class TopicComponent(Component[S, V], Generic[S, V, T]):
    """A component that applies an input topic of its own, before the events of a round.

    `topic` is its plain name (`contracts.topics.register_input_topic`). One that `is_read_at_claim` is
    applied as far as it goes before the first event after a claim, so that nothing of it is missed.
    """

    topic: str
    is_read_at_claim: bool = False

    def read(self, records: Iterable[Record], source: Source) -> list[T]:
        """One item per record, in order; what breaks a rule becomes an item with a dead letter."""
        raise NotImplementedError

    def record_subjects(self, items: Sequence[T]) -> Collection[str]:
        """Ids of the subjects whose values `apply_records` needs."""
        return ()

    async def look_up(self, state: S, items: Sequence[T], reader: StateReader) -> Any:
        """What else `apply_records` needs of the partition's state."""
        return None

    def apply_records(self, state: S, records: TopicRecords[T, V]) -> Change:
        """What the records change."""
        raise NotImplementedError
