"""What the archive says of itself, for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from archive.intake import FORGOTTEN
from archive.records import FORWARDED, INTERNAL, REJECTED
from sources.archive.manifest import Manifest

_LEFT_OUT = (REJECTED, FORWARDED, INTERNAL, FORGOTTEN)


class ArchiveMetrics:
    """Counters and gauges in a registry of their own; labels are our words and topics, never ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._lag = Gauge(
            "storepulse_archive_lag_records",
            "Records in the topics that are not in the archive yet",
            ("topic",),
            registry=self.registry,
        )
        self._rows = Counter("storepulse_archive_rows", "Rows added", ("dataset",), registry=self.registry)
        self._left_out = Counter(
            "storepulse_archive_left_out",
            "Records that became no row, by what they are",
            ("what",),
            registry=self.registry,
        )
        self._written = Counter("storepulse_archive_written_bytes", "Bytes written", registry=self.registry)
        self._merges = Counter("storepulse_archive_merges", "Merges of files", registry=self.registry)
        self._lost = Counter(
            "storepulse_archive_lost_records",
            "Records that Kafka deleted before the archive read them",
            registry=self.registry,
        )
        self._cleared = Counter(
            "storepulse_archive_deleted_visitors", "Visitors cleared from all files", registry=self.registry
        )
        self._waiting = Gauge(
            "storepulse_archive_deletions_waiting",
            "Deleted visitors still to be cleared from files",
            registry=self.registry,
        )
        self._files = Gauge(
            "storepulse_archive_files", "Files, of days and recent ones", ("kind",), registry=self.registry
        )
        self._bytes = Gauge("storepulse_archive_bytes", "Bytes of all files", registry=self.registry)
        for what in _LEFT_OUT:
            self._left_out.labels(what)

    def count_flush(self, rows: Mapping[str, int], left_out: Mapping[str, int], size_bytes: int) -> None:
        """Count a batch that was added."""
        for dataset, number in rows.items():
            self._rows.labels(dataset).inc(number)
        for what, number in left_out.items():
            self._left_out.labels(what).inc(number)
        self._written.inc(size_bytes)

    def count_merge(self) -> None:
        """Count a merge."""
        self._merges.inc()

    def count_lost(self, records: int) -> None:
        """Count records that are gone."""
        self._lost.inc(records)

    def count_cleared(self, visitors: int) -> None:
        """Count visitors whom no file has any more."""
        self._cleared.inc(visitors)

    def show_lag(self, lags: Mapping[str, int], waiting: int) -> None:
        """How far behind it is, by topic, and how many deletions wait."""
        for topic, records in lags.items():
            self._lag.labels(topic).set(records)
        self._waiting.set(waiting)

    def show_files(self, manifest: Manifest) -> None:
        """What the archive consists of."""
        recent = sum(file.recent for file in manifest.files)
        self._files.labels("recent").set(recent)
        self._files.labels("day").set(len(manifest.files) - recent)
        self._bytes.set(sum(file.size_bytes for file in manifest.files))
