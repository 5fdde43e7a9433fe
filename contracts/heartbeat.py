"""What a worker says of itself once a second, for status, the API and the live view."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

HEARTBEAT_TTL_S = 10
NEXT_ACTION = "next_action"
"""The slot of the model whose scores are in the visitors' predictions."""


class SlotReport(NamedTuple):
    """How one model slot of a worker goes.

    `model` is the version of the model, empty for none; `state` is `ok`, `off`, or in a few words what is
    wrong. `skipped` counts visitors left unanswered since the worker started, `scored` the others. `drift`
    has a line per watched number (`models.drift`). `left_out` are those skipped for want of time, by kind.
    """

    slot: str
    model: str = ""
    state: str = "off"
    scored: int = 0
    skipped: int = 0
    drift: tuple[str, ...] = ()
    left_out: Mapping[str, int] = {}


class Heartbeat(NamedTuple):
    """One worker's own figures. Delays are from broker timestamp to committed in Redis, last 10 s.

    `model` to `drift` are of the next-action model, as in `SlotReport`; `slots` has every model slot, that
    one too.
    """

    worker_id: str
    at_ms: int
    pid: int
    events_per_s: float
    delay_p50_ms: float
    delay_p99_ms: float
    rss_bytes: int
    partitions: tuple[int, ...]
    metrics_port: int
    model: str = ""
    scoring: str = "off"
    scored: int = 0
    skipped: int = 0
    drift: tuple[str, ...] = ()
    slots: tuple[SlotReport, ...] = ()
    waits: tuple[str, ...] = ()
    """Why partitions of this worker stand still, a line each."""

    def to_hash(self) -> dict[str, str]:
        """Field names and texts of the Redis hash."""
        texts = {name: str(value) for name, value in self._asdict().items()}
        texts["partitions"] = ",".join(str(p) for p in self.partitions)
        texts["drift"] = "\n".join(self.drift)
        texts["waits"] = "\n".join(self.waits)
        texts["slots"] = orjson.dumps([slot._asdict() for slot in self.slots]).decode()
        return texts


def from_hash(fields: dict[str, str]) -> Heartbeat:
    """The heartbeat in a Redis hash; raises `KeyError` or `ValueError` if it is not one.

    A worker of an earlier version writes no `slots`: it has the next-action model's only. Nor `waits`.
    """
    drift = tuple(fields["drift"].splitlines())
    own = SlotReport(
        NEXT_ACTION,
        fields["model"],
        fields["scoring"],
        int(fields["scored"]),
        int(fields["skipped"]),
        drift,
    )
    return Heartbeat(
        worker_id=fields["worker_id"],
        at_ms=int(fields["at_ms"]),
        pid=int(fields["pid"]),
        events_per_s=float(fields["events_per_s"]),
        delay_p50_ms=float(fields["delay_p50_ms"]),
        delay_p99_ms=float(fields["delay_p99_ms"]),
        rss_bytes=int(fields["rss_bytes"]),
        partitions=tuple(int(p) for p in fields["partitions"].split(",") if p),
        metrics_port=int(fields["metrics_port"]),
        model=own.model,
        scoring=own.state,
        scored=own.scored,
        skipped=own.skipped,
        drift=drift,
        slots=tuple(_slot(slot) for slot in orjson.loads(fields["slots"])) if "slots" in fields else (own,),
        waits=tuple(fields.get("waits", "").splitlines()),
    )


def _slot(fields: Any) -> SlotReport:
    try:
        known = {"left_out": {}, **fields}  # a worker of an earlier version scores everybody
        own = {name: known[name] for name in SlotReport._fields}
    except (KeyError, TypeError) as exc:
        raise ValueError(f"invalid report of a slot: {exc!r}") from exc
    return SlotReport(**{**own, "drift": tuple(own["drift"])})
