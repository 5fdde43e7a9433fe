"""Topic names and which event goes to which topic."""

import re
from dataclasses import dataclass

from contracts.events import EventType, Statement
from contracts.recommendations import RECOMMENDATIONS

EVENT_TOPICS = ("view", "cart", "purchase")
"""The co-partitioned event topics, keyed by `user_id`, in the order ties are merged."""

DELETIONS = "deletions"
ORDERS = "orders"
CUSTOMERS = "customers"
PRODUCTS = "products"
EXPOSURES = "exposures"
_REJECTED, _ALERTS, _MODELS = "rejected", "alerts", "models"
_WRITTEN = (_REJECTED, _ALERTS, _MODELS)
_input_topics = [*EVENT_TOPICS, DELETIONS, ORDERS, CUSTOMERS, PRODUCTS, EXPOSURES]
_unarchived = {DELETIONS, ORDERS, CUSTOMERS, EXPOSURES}
"""Input topics that only repeat what events say, name whom nothing is kept of, or are of use for a day."""
_FOLLOWED = (ORDERS, CUSTOMERS, PRODUCTS, EXPOSURES)
"""Input topics that earlier versions do not read: the group does not subscribe to them, members follow."""
_output_topics: set[str] = {RECOMMENDATIONS}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")

_TOPIC_OF_TYPE: dict[str, str] = {
    EventType.VIEW: "view",
    EventType.FAVORITE: "view",
    EventType.CART: "cart",
    EventType.REMOVE_FROM_CART: "cart",
    EventType.PURCHASE: "purchase",
    EventType.REFUND: "purchase",
    Statement.IDENTIFY: "view",
    Statement.BOUGHT_ELSEWHERE: "purchase",
    Statement.FORGET_CUSTOMER: "view",
}


def register_input_topic(name: str, *, archived: bool = True) -> None:
    """Make a topic one that workers read; all of them have equal partition counts. Twice changes nothing.

    Records of partition `p` are applied by the owner of partition `p`, so they are keyed by the id of their
    subject, with Kafka's standard partitioner. Where there is an archive it keeps them, unless they are not
    to be `archived`. Raises `ValueError` for a name that is no topic's, or that of a topic we write.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a topic's name must match {_NAME.pattern}, got {name!r}")
    if name in _WRITTEN or name in _output_topics:
        raise ValueError(f"{name!r} is a topic that Storepulse writes")
    if name not in _input_topics:
        _input_topics.append(name)
        if not archived:
            _unarchived.add(name)


def register_output_topic(name: str) -> None:
    """Make known a topic of snapshots (`contracts.snapshots`): compacted, keyed by the subject's id.

    Every process must register it, so that whoever creates topics creates this one too. Raises `ValueError`
    for a name that is no topic's or is taken by a topic of ours.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a topic's name must match {_NAME.pattern}, got {name!r}")
    if name in _WRITTEN or name in _input_topics:
        raise ValueError(f"{name!r} is a topic of Storepulse's own, or one that workers read")
    _output_topics.add(name)


def is_output_topic(name: str) -> bool:
    """Whether a topic of snapshots has this name."""
    return name in _output_topics


def input_topics() -> tuple[str, ...]:
    """Plain names of the topics that workers read."""
    return tuple(_input_topics)


def archived_topics() -> tuple[str, ...]:
    """Plain names of the input topics that an archive keeps."""
    return tuple(name for name in _input_topics if name not in _unarchived)


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
        return self.prefix + _REJECTED

    @property
    def alerts(self) -> str:
        """Steps in the life of alerts (`contracts.alerts`), keyed by the id of their subject."""
        return self.prefix + _ALERTS

    @property
    def models(self) -> str:
        """Steps in the life of model versions (`contracts.model_steps`), keyed by the model's slot."""
        return self.prefix + _MODELS

    @property
    def deletions(self) -> str:
        """Deletions of visitors (`contracts.deletions`), each in the partition of the visitor's events."""
        return self.prefix + DELETIONS

    @property
    def orders(self) -> str:
        """What partitions tell the owners of orders (`contracts.order_reports`)."""
        return self.prefix + ORDERS

    @property
    def customers(self) -> str:
        """What partitions tell of customers (`contracts.customers`), keyed by the customer's id."""
        return self.prefix + CUSTOMERS

    @property
    def products(self) -> str:
        """The catalogue (`contracts.product_records`), keyed by the product's id."""
        return self.prefix + PRODUCTS

    @property
    def exposures(self) -> str:
        """What visitors were recommended (`contracts.exposures`), keyed by the visitor's id."""
        return self.prefix + EXPOSURES

    @property
    def recommendations(self) -> str:
        """The newest list of each visitor, a topic of snapshots."""
        return self.prefix + RECOMMENDATIONS

    @property
    def outputs(self) -> tuple[str, ...]:
        """Topics of snapshots: compacted, and partitioned as the events are."""
        return tuple(self.prefix + name for name in sorted(_output_topics))

    def output(self, name: str) -> str:
        """The real name of a topic of snapshots."""
        return self.prefix + name

    @property
    def partitioned(self) -> tuple[str, ...]:
        """What a worker reads: topics whose partition `p` is about the subjects of partition `p`."""
        return tuple(self.prefix + name for name in _input_topics)

    @property
    def subscribed(self) -> tuple[str, ...]:
        """Those of `partitioned` that the group of workers subscribes to."""
        return tuple(self.prefix + name for name in _input_topics if name not in _FOLLOWED)

    @property
    def followed(self) -> tuple[str, ...]:
        """The others, of which the owner of a partition reads that partition."""
        return tuple(self.prefix + name for name in _FOLLOWED)

    @property
    def all(self) -> tuple[str, ...]:
        """Every topic we create."""
        return (*self.partitioned, self.rejected, self.alerts, self.models, *self.outputs)

    def of(self, event_type: EventType | Statement) -> str:
        """The topic events of this type are sent to."""
        return self.prefix + _TOPIC_OF_TYPE[event_type]
