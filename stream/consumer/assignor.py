"""The assignor of the group: it gives out the partitions of the installation, whatever a topic has by now."""

from typing import Any

from faust.assignor.partition_assignor import PartitionAssignor


class InstallationAssignor(PartitionAssignor):  # type: ignore[misc]  # Faust is untyped
    """Faust's, which keeps partition p of all topics in one worker only while all have equally many.

    A topic that somebody gave more partitions would be assigned apart from the others. Its further partitions
    belong to nobody until the installation has grown (`storepulse topics grow`).
    """

    partitions = 0

    def assign(self, cluster: Any, member_metadata: Any) -> Any:
        """See `PartitionAssignor.assign`."""
        return super().assign(_Installation(cluster, self.partitions), member_metadata)


class _Installation:
    """A cluster whose topics have no more partitions than the installation."""

    def __init__(self, cluster: Any, partitions: int) -> None:
        self._cluster = cluster
        self._partitions = partitions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Numbers of the partitions, None for a topic that is not known."""
        found = self._cluster.partitions_for_topic(topic)
        return None if found is None else {p for p in found if p < self._partitions}
