"""What a worker says of itself once a second, for status, the API and the live view."""

from typing import NamedTuple

HEARTBEAT_TTL_S = 10


class Heartbeat(NamedTuple):
    """One worker's own figures. Delays are from broker timestamp to committed in Redis, last 10 s.

    `model` is the version of the next-action model that scores visitors, empty for none; `scoring` says how
    that goes: `ok`, `off`, or in a few words what is wrong. `skipped` counts visitors left unscored since the
    worker started, `scored` the others. `drift` has a line per watched number (`models.drift`).
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

    def to_hash(self) -> dict[str, str]:
        """Field names and texts of the Redis hash."""
        texts = {name: str(value) for name, value in self._asdict().items()}
        texts["partitions"] = ",".join(str(p) for p in self.partitions)
        texts["drift"] = "\n".join(self.drift)
        return texts


def from_hash(fields: dict[str, str]) -> Heartbeat:
    """The heartbeat in a Redis hash; raises `KeyError` or `ValueError` if it is not one."""
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
        model=fields["model"],
        scoring=fields["scoring"],
        scored=int(fields["scored"]),
        skipped=int(fields["skipped"]),
        drift=tuple(fields["drift"].splitlines()),
    )
