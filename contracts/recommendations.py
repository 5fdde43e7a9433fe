"""Recommendations that are published as visitors act: their name, and how their snapshots expire."""

RECOMMENDATIONS = "recommendations"
"""The job whose queues have the visitors, its snapshots in Redis, and the topic that gets each list."""
SNAPSHOT_VERSION = 1
SNAPSHOT_TTL_S = 86_400
"""A list that stands still is in Redis so long after it was last looked at, and is published again then."""
