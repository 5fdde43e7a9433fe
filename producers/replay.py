"""Replaying a file of events: in time order, at a chosen pace, never far ahead of the stream."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from contracts.clock import wall_clock_ms
from contracts.dead_letters import DeadLetter
from contracts.event_ids import content_id
from contracts.events import Event
from producers.checkpoints import Checkpoint, CheckpointFile
from producers.lag import AppliedOffsets, LagUnknown, lag_events
from producers.pacing import Pacer
from producers.replay_memory import ReplayMemory
from producers.sender import Sender
from sources import Rejected, Source

LAG_EVERY_S = 0.25
CHECKPOINT_EVERY_S = 1.0
SILENCE_S = 10.0
"""Waiting for a stream that has applied nothing for longer is said aloud."""
_SILENCE = f"nothing has been applied for {SILENCE_S:.0f} s: is a worker running? (--max-lag 0 does not wait)"
_TICK_S = 0.1
_FIRST_ROWS = 5


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What to replay and how. `speed` None: as fast as the stream takes it; `max_lag` 0: do not look.

    `again`: send also what the installation has got before.
    """

    speed: float | None = None
    time: str = "original"
    limit: int | None = None
    max_lag: int = 20_000
    resume: bool = True
    again: bool = False

    def __post_init__(self) -> None:
        if self.time not in ("original", "now"):
            raise ValueError(f"--time must be original or now, got {self.time!r}")
        if self.time == "now" and self.speed != 1:
            raise ValueError(
                "--time now needs --speed 1: at any other speed, event times would run ahead of the clock"
            )


@dataclass(slots=True)
class RejectedRows:
    """Rejected rows of one code."""

    count: int = 0
    first_rows: list[int] = field(default_factory=list)
    example: str = ""


@dataclass(slots=True)
class Progress:
    """Where a replay stands. `read` and `sent` count this run; `first_ms`, `last_ms` are event times sent."""

    total_rows: int
    resumed_at: int = 0
    read: int = 0
    sent: int = 0
    rejected: dict[str, RejectedRows] = field(default_factory=dict)
    first_ms: int | None = None
    last_ms: int | None = None
    lag: int | None = None
    note: str = ""
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def at_row(self) -> int:
        """Rows done, in time order."""
        return self.resumed_at + self.read

    def reject(self, row: Rejected) -> None:
        """Count a rejected row."""
        kind = self.rejected.setdefault(row.code, RejectedRows(example=row.detail))
        kind.count += 1
        if len(kind.first_rows) < _FIRST_ROWS:
            kind.first_rows.append(row.row)


class Replay:
    """One run over one source."""

    def __init__(
        self,
        source: Source,
        sender: Sender,
        plan: ReplayPlan,
        *,
        checkpoints: CheckpointFile,
        applied: AppliedOffsets | None = None,
        memory: ReplayMemory | None = None,
        stopped: Callable[[], bool] = lambda: False,
        on_tick: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._sender = sender
        self._plan = plan
        self._checkpoints = checkpoints
        self._applied = applied if plan.max_lag else None
        # Events moved to now are others than those of before.
        self._memory = memory if plan.time == "original" else None
        self._stopped = stopped
        self._on_tick = on_tick
        self._pacer = Pacer(plan.speed)
        self._shift_ms: int | None = None if plan.time == "now" else 0
        self.progress = Progress(source.n_rows)
        self._started_s = time.monotonic()
        self._tick_at_s = self._lag_at_s = self._checkpoint_at_s = 0.0
        self._sent_at_lag = 0

    def run(self) -> Progress:
        """Send everything, or until stopped, and return where it ended; every send is acknowledged then.

        Raises `SendFailed`, `AlreadySent` for what the installation has got before, or `LagUnknown` when
        Redis does not answer at the start.
        """
        if self._applied is not None:
            self._applied.read()
        saved = self._checkpoints.load() if self._plan.resume else None
        if saved is not None:
            self.progress.resumed_at = saved.rows
            self._shift_ms = saved.shift_ms
        if self._memory is not None:
            self._memory.begin(self._source, known=self._plan.again or saved is not None)
        try:
            for outcome in self._rows():
                if self._stopped() or not self._handle(outcome):
                    self.progress.interrupted = True
                    break
            self._sender.flush()
        finally:
            self._save_checkpoint()
        if self._memory is not None:
            self._memory.end(self._source, self.progress.at_row)
        self._tick()
        if not self.progress.interrupted and not self._ended_early():
            self._checkpoints.remove()
        return self.progress

    def _ended_early(self) -> bool:
        """Whether `limit` left rows that the next replay of the file goes on with."""
        return self._plan.time == "original" and self.progress.at_row < self.progress.total_rows

    def _rows(self) -> Iterator[Event | Rejected]:
        rows = self._source.read(skip=self.progress.resumed_at)
        if self._plan.limit is None:
            return rows
        return islice(rows, max(0, self._plan.limit - self.progress.resumed_at))

    def _handle(self, outcome: Event | Rejected) -> bool:
        """Send one row when it is due; False if stopped before."""
        if isinstance(outcome, Event):
            event = self._shifted(outcome)
            if not self._wait_until_due(event) or not self._wait_for_stream():
                return False
            self._send(event)
        else:
            self._reject(outcome)
        self.progress.read += 1
        if time.monotonic() - self._tick_at_s > _TICK_S:
            self._tick()
        return True

    def _send(self, event: Event) -> None:
        self._sender.send(event)
        progress = self.progress
        progress.sent += 1
        progress.last_ms = event.event_time_ms
        if progress.first_ms is None:
            progress.first_ms = event.event_time_ms

    def _reject(self, row: Rejected) -> None:
        self.progress.reject(row)
        letter = DeadLetter(
            code=row.code,
            detail=row.detail,
            topic=self._source.path.name.encode("utf-8", "replace").decode(),
            partition=0,
            offset=row.row,
            key=None,
            value=row.value,
            rejected_ms=wall_clock_ms(),
        )
        self._sender.reject(letter)

    def _shifted(self, event: Event) -> Event:
        """The event at its time in this replay; a moved event is another one than the original."""
        if self._shift_ms is None:
            self._shift_ms = wall_clock_ms() - event.event_time_ms
        if not self._shift_ms:
            return event
        return event._replace(
            event_time_ms=event.event_time_ms + self._shift_ms,
            event_id=content_id(event.event_id, self._shift_ms),
        )

    def _wait_until_due(self, event: Event) -> bool:
        while (wait_s := self._pacer.wait_s(event.event_time_ms)) > 0:
            if self._stopped():
                return False
            time.sleep(min(wait_s, _TICK_S))
            self._tick()
        return True

    def _wait_for_stream(self) -> bool:
        """Wait while the stream is more than `max_lag` events behind; False if stopped meanwhile."""
        if self._applied is None or not self._lag_is_due():
            return True
        seen, moved_at_s = -1, time.monotonic()
        while (lag := self._read_lag(self._applied)) > self._plan.max_lag:
            if self._stopped():
                return False
            if lag != seen:
                seen, moved_at_s = lag, time.monotonic()
            if time.monotonic() - moved_at_s > SILENCE_S:
                self.progress.note = self.progress.note or _SILENCE
            time.sleep(0.05)
            self._tick()
        self.progress.note = ""
        return True

    def _lag_is_due(self) -> bool:
        unseen = self._sender.sent - self._sent_at_lag
        return time.monotonic() - self._lag_at_s > LAG_EVERY_S or unseen > self._plan.max_lag // 4

    def _read_lag(self, applied: AppliedOffsets) -> int:
        self._lag_at_s, self._sent_at_lag = time.monotonic(), self._sender.sent
        try:
            offsets = applied.read()
        except LagUnknown as exc:
            self.progress.note = f"waiting: {exc}"
            return self._plan.max_lag + 1
        in_flight = self._sender.sent - self._sender.acked
        self.progress.lag = in_flight + lag_events(self._sender.starts, self._sender.ends, offsets)
        return self.progress.lag

    def _tick(self) -> None:
        now_s = time.monotonic()
        self._tick_at_s = now_s
        self.progress.seconds = now_s - self._started_s
        if now_s - self._checkpoint_at_s > CHECKPOINT_EVERY_S:
            self._checkpoint_at_s = now_s
            self._save_checkpoint()
        self._on_tick(self.progress)

    def _save_checkpoint(self) -> None:
        if self._shift_ms is not None:  # None: the first event, which sets it, has not come yet
            rows = self.progress.resumed_at + self._sender.acked
            self._checkpoints.save(Checkpoint(rows, self._shift_ms))
