"""Topic names and which event goes to which topic."""

from dataclasses import dataclass

from contracts.events import EventType

EVENT_TOPICS = ("view", "cart", "purchase")
"""The co-partitioned event topics, keyed by `user_id`, in the order ties are merged."""

DELETIONS = "deletions"
_input_topics = [*EVENT_TOPICS, DELETIONS]

_TOPIC_OF_TYPE = {
    EventType.VIEW: "view",
    EventType.FAVORITE: "view",
    EventType.CART: "cart",
    EventType.REMOVE_FROM_CART: "cart",
    EventType.PURCHASE: "purchase",
}


def register_input_topic(name: str) -> None:
    """Make a topic one that workers read; all of them have equal partition counts. Twice changes nothing.

    Records of partition `p` are applied by the owner of partition `p`, so they are keyed by the id of their
    subject, with Kafka's standard partitioner.
    """
    if name not in _input_topics:
        _input_topics.append(name)


@dataclass(frozen=True, slots=True)
class Topics:
    """Real topic names of one installation: a prefix before each of the plain names."""

    prefix: str = ""

    @property
    def events(self) -> tuple[str, ...]:
        """The three event topics."""
        return tuple(self.prefix + name for name in EVENT_TOPICS)

    @property
    def rejected(self) -> str:
        """Dead letters."""
        return f"{self.prefix}rejected"

    @property
    def alerts(self) -> str:
        """Steps in the life of alerts (`contracts.alerts`), keyed by `user_id`."""
        return f"{self.prefix}alerts"

    @property
    def deletions(self) -> str:
        """Deletions of visitors (`contracts.deletions`), each in the partition of the visitor's events."""
        return self.prefix + DELETIONS

    @property
    def partitioned(self) -> tuple[str, ...]:
        """What a worker reads: topics whose partition `p` is about the subjects of partition `p`."""
        return tuple(self.prefix + name for name in _input_topics)

    @property
    def all(self) -> tuple[str, ...]:
        """Every topic we create."""
        return (*self.partitioned, self.rejected, self.alerts)

    def of(self, event_type: EventType) -> str:
        """The topic events of this type are sent to."""
        return self.prefix + _TOPIC_OF_TYPE[event_type]
