"""What a worker is made of: the capabilities that are registered, by the product itself and by extensions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from contracts.alert_budgets import parse_budgets
from contracts.extensions import load_part
from contracts.key_families import family_of
from contracts.settings import Settings
from contracts.topics import EVENT_TOPICS, Topics, input_topics
from stream.batch.core import PYTHON, Core
from stream.batch.result import VISITOR_KIND
from stream.components.alert_use import AlertUses
from stream.components.catalogue.component import Catalogue
from stream.components.component import Component, SubjectValues, TopicComponent
from stream.components.customers.component import Customers
from stream.components.deletions.component import Deletions
from stream.components.demand import Demand
from stream.components.exposures.component import Exposures
from stream.components.orders.component import Orders
from stream.components.prices import Prices
from stream.components.sessions.component import Sessions
from stream.components.trending import Trending
from stream.jobs.job import JobRegistry
from stream.jobs.recommendations import recommendations_job
from stream.partitions.alert_gate import AlertGate
from stream.scoring.next_action import NextActionSlot
from stream.scoring.slots import AnySlot
from stream.state.commit import ClaimRead
from stream.visitors.fields import VisitorField

AnyComponent = Component[Any, Any]
AnyTopicComponent = TopicComponent[Any, Any, Any]


class InvalidCapability(ValueError):
    """Something that cannot be registered; the message says what and why."""


@dataclass(slots=True)
class Registry:
    """Capabilities by kind. Names are unique within a kind."""

    components: dict[str, AnyComponent] = field(default_factory=dict)
    visitor_fields: dict[str, VisitorField] = field(default_factory=dict)
    jobs: JobRegistry = field(default_factory=JobRegistry)
    slots: dict[str, AnySlot] = field(default_factory=dict)
    gate: AlertGate = field(default_factory=AlertGate)
    """What every alert about a visitor must pass."""

    def add(self, component: AnyComponent) -> None:
        """Register a component; raises `InvalidCapability` if it cannot be one, and says why."""
        if component.name in self.components:
            raise InvalidCapability(f"a component named {component.name!r} is registered already")
        if component.values is not None:
            _check_values(component.name, component.values)
        elif component.timers:
            raise InvalidCapability(f"component {component.name!r} has timers of no kind of subject")
        taken = {VISITOR_KIND, *[kind for known in self.components.values() for kind in known.timers]}
        if taken & set(component.timers):
            raise InvalidCapability(f"timers {sorted(taken & set(component.timers))} have another handler")
        if isinstance(component, TopicComponent):
            self._check_topic(component)
        self.components[component.name] = component

    def _check_topic(self, component: AnyTopicComponent) -> None:
        name, topic = component.name, component.topic
        if topic in EVENT_TOPICS or topic not in input_topics():
            raise InvalidCapability(
                f"component {name!r} applies {topic!r}, which is no input topic of its own; register it with "
                "contracts.topics.register_input_topic"
            )
        for known in self.components.values():
            if isinstance(known, TopicComponent) and known.topic == topic:
                raise InvalidCapability(f"component {known.name!r} applies the topic {topic!r} already")

    def check(self) -> None:
        """Raises `InvalidCapability` if an input topic is registered that nothing applies."""
        applied = {part.topic for part in self.components.values() if isinstance(part, TopicComponent)}
        for topic in input_topics():
            if topic not in EVENT_TOPICS and topic not in applied:
                raise InvalidCapability(f"no component applies the input topic {topic!r}")

    def add_visitor_field(self, visitor_field: VisitorField) -> None:
        """Register a field of every visitor's state; raises `InvalidCapability` if its name is taken."""
        if visitor_field.name in self.visitor_fields or visitor_field.name in self.slots:
            raise InvalidCapability(f"a visitor field named {visitor_field.name!r} is registered already")
        self.visitor_fields[visitor_field.name] = visitor_field

    def add_slot(self, slot: AnySlot) -> None:
        """Register a model slot and its companions.

        Raises `InvalidCapability` if its name is taken or no identifier, or what it keeps cannot be.
        """
        if slot.name in self.slots or slot.name in self.visitor_fields:
            raise InvalidCapability(f"a slot or visitor field named {slot.name!r} is registered already")
        if not slot.name.isidentifier():
            raise InvalidCapability(f"the name of a model slot must be an identifier, got {slot.name!r}")
        for companion in slot.companions:
            if companion.component is not None:
                self.add(companion.component)
        self.slots[slot.name] = slot

    @property
    def reads(self) -> tuple[ClaimRead, ...]:
        """What components read with the claim of a partition."""
        return tuple(read for component in self.components.values() for read in component.reads)

    @property
    def keeps_events(self) -> bool:
        """Whether any component or model slot reads new events."""
        return any(component.wants_events for component in self.components.values()) or any(
            slot.judges for slot in self.slots.values()
        )

    def topic_components(self, topics: Topics) -> dict[str, AnyTopicComponent]:
        """Components by the real name of the topic that each applies."""
        found = [part for part in self.components.values() if isinstance(part, TopicComponent)]
        return {topics.prefix + component.topic: component for component in found}

    def timers(self) -> Iterator[tuple[str, AnyComponent]]:
        """Kinds of timers with the component that fires them."""
        for component in self.components.values():
            for kind in component.timers:
                yield kind, component


def _check_values(name: str, values: SubjectValues[Any]) -> None:
    if family_of(values.start) is None:
        raise InvalidCapability(
            f"component {name!r} keeps values under {values.start!r}, which no family of keys "
            "has; register it with contracts.key_families.register_family"
        )
    if values.ttl_s <= 0:
        raise InvalidCapability(
            f"component {name!r} keeps values for {values.ttl_s} s; a lifetime must be over 0 s"
        )


def make_registry(settings: Settings, core: Core = PYTHON) -> Registry:
    """What the product itself registers, and then the extensions in the settings.

    The product's components take their hot steps from `core`. Raises `InvalidCapability`, or
    `contracts.extensions.InvalidExtension`.
    """
    registry = product_registry(settings, core)
    for module in load_part(settings, "stream"):
        module.register(registry)
    registry.check()
    return registry


def product_registry(settings: Settings, core: Core = PYTHON) -> Registry:
    """What the product itself registers."""
    gate = AlertGate(parse_budgets(settings.alert_budgets), settings.partitions)
    registry = Registry(gate=gate)
    registry.add(AlertUses())
    registry.add(Deletions(settings.deletion_secret.get_secret_value()))
    registry.add(Customers(settings, core))
    registry.add(Prices())
    registry.add(Demand.of(settings))
    registry.add(Trending(settings.trend_half_life_s * 1_000))
    registry.add(Orders(settings, core))
    registry.add(Catalogue(settings))
    registry.add(Exposures(settings))
    if settings.session_visitors:
        registry.add(Sessions(settings, core))
    if settings.scoring:
        registry.add_slot(NextActionSlot(settings, registry.gate))
    registry.jobs.add(recommendations_job(settings))
    return registry
