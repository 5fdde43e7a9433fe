"""Metrics of model slots: those of the next action have names of their own, the others a label `slot`."""

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from contracts.heartbeat import NEXT_ACTION

WAIT_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)


class SlotMeter:
    """Counts of one slot, in metrics of its own or under its label."""

    def __init__(
        self,
        scores: Counter,
        left_out: Counter,
        score_time: Histogram,
        wait_time: Histogram,
        refused: Counter,
        drifts: Counter,
        labels: Sequence[str],
    ) -> None:
        self._scores = scores
        self._left_out = left_out
        self._labels = labels
        self._score_time = score_time.labels(*labels) if labels else score_time
        self._wait_time = wait_time.labels(*labels) if labels else wait_time
        self._refused = refused.labels(*labels) if labels else refused
        self._drifts = drifts
        self.scored = self.skipped = 0
        """Visitors scored and left unscored since the worker started."""
        self.left_out: dict[str, int] = {}
        """Of those left unscored, for want of time, by kind."""

    def count_scores(self, scored: int, *, skipped: int, took_s: float | None = None) -> None:
        """Count visitors a model was asked about, or should have been."""
        self.scored += scored
        self.skipped += skipped
        self._scores.labels(*self._labels, "scored").inc(scored)
        self._scores.labels(*self._labels, "skipped").inc(skipped)
        if took_s is not None:
            self._score_time.observe(took_s)

    def count_left_out(self, kinds: Mapping[str, int]) -> None:
        """Count visitors who were left unscored for want of time, by kind (`stream.scoring.slots.Worth`)."""
        for kind, number in kinds.items():
            self.left_out[kind] = self.left_out.get(kind, 0) + number
            self._left_out.labels(*self._labels, kind).inc(number)

    def note_waits(self, waits_s: Sequence[float]) -> None:
        """Note how long visitors waited whom an earlier round had no time to score."""
        for wait_s in waits_s:
            self._wait_time.observe(wait_s)

    def count_refusal(self) -> None:
        """Count a new model that did not pass its checks."""
        self._refused.inc()

    def count_drift(self, name: str) -> None:
        """Count a change found in a watched number."""
        self._drifts.labels(*self._labels, name).inc()


class SlotMeters:
    """The meters of all slots, each made when it is asked for first."""

    def __init__(self, registry: CollectorRegistry, buckets_s: Sequence[float]) -> None:
        self._registry = registry
        self._buckets_s = buckets_s
        next_action = SlotMeter(*self._metrics("storepulse_worker", []), [])
        self._meters = {NEXT_ACTION: next_action}
        self._others = self._metrics("storepulse_worker_slot", ["slot"])

    def of(self, slot: str) -> SlotMeter:
        """The meter of a slot."""
        if slot not in self._meters:
            self._meters[slot] = SlotMeter(*self._others, [slot])
        return self._meters[slot]

    def _metrics(
        self, start: str, labels: list[str]
    ) -> tuple[Counter, Counter, Histogram, Histogram, Counter, Counter]:
        """The metrics whose names begin so."""
        scores = Counter(
            f"{start}_scores",
            "Visitors a model was asked about, by outcome",
            [*labels, "result"],
            registry=self._registry,
        )
        left_out = Counter(
            f"{start}_left_out",
            "Visitors left unscored for want of time: cart, intent, other or superseded (acted again)",
            [*labels, "kind"],
            registry=self._registry,
        )
        score_time = Histogram(
            f"{start}_score_seconds",
            "Time to encode and score the visitors of one round",
            labels,
            buckets=self._buckets_s,
            registry=self._registry,
        )
        wait_time = Histogram(
            f"{start}_score_wait_seconds",
            "How long visitors with a cart or intent waited whom an earlier round had no time to score",
            labels,
            buckets=WAIT_BUCKETS_S,
            registry=self._registry,
        )
        refused = Counter(
            f"{start}_models_refused", "New models that failed their checks", labels,
            registry=self._registry,
        )  # fmt: skip
        drifts = Counter(
            f"{start}_drifts",
            "Changes detected in a watched number",
            [*labels, "name"],
            registry=self._registry,
        )
        return scores, left_out, score_time, wait_time, refused, drifts
