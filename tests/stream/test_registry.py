"""What cannot be registered is refused in words."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from contracts.key_families import KeyFamily, register_family
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from contracts.topics import register_input_topic
from registrations import own_registrations
from stream.components.component import Component, SubjectValues, TopicComponent
from stream.registry import InvalidCapability, Registry, make_registry
from stream.visitors.fields import VisitorField

SETTINGS = Settings()


def values_under(start: str) -> SubjectValues[bytes]:
    return SubjectValues(SubjectKind.PRODUCT, start, 60, bytes, bytes)


def component(name: str, **attributes: Any) -> Component[Any, Any]:
    return cast(Component[Any, Any], type("Made", (Component,), {"name": name, **attributes})())


def topic_component(name: str, topic: str) -> TopicComponent[Any, Any, Any]:
    made: TopicComponent[Any, Any, Any] = type(
        "MadeOfTopic", (TopicComponent,), {"name": name, "topic": topic}
    )()
    return made


@pytest.fixture(autouse=True)
def forgotten_afterwards() -> Iterator[None]:
    with own_registrations():
        register_family(KeyFamily("known:", "string", SubjectKind.PRODUCT))
        yield


@pytest.fixture
def registry() -> Registry:
    return make_registry(SETTINGS)


def test_a_name_is_taken_once(registry: Registry) -> None:
    with pytest.raises(InvalidCapability, match="a component named 'prices' is registered already"):
        registry.add(component("prices"))
    field = VisitorField("brands", lambda *known: known[0])
    registry.add_visitor_field(field)
    with pytest.raises(InvalidCapability, match="a visitor field named 'brands' is registered already"):
        registry.add_visitor_field(field)


def test_values_need_a_family_of_keys(registry: Registry) -> None:
    with pytest.raises(InvalidCapability, match="'c' keeps values under 'nobody:', which no family of keys"):
        registry.add(component("c", values=values_under("nobody:")))


def test_values_need_a_lifetime(registry: Registry) -> None:
    values = values_under("known:")._replace(ttl_s=0)
    with pytest.raises(InvalidCapability, match="'c' keeps values for 0 s; a lifetime must be over 0 s"):
        registry.add(component("c", values=values))


def test_timers_need_a_kind_of_subject_and_have_one_handler(registry: Registry) -> None:
    with pytest.raises(InvalidCapability, match="component 'c' has timers of no kind of subject"):
        registry.add(component("c", timers=("t",)))
    registry.add(component("c", timers=("t",), values=values_under("known:")))
    for taken in ("t", "visitor"):
        with pytest.raises(InvalidCapability, match=rf"timers \['{taken}'\] have another handler"):
            registry.add(component("d", timers=(taken,), values=values_under("known:")))


@pytest.mark.parametrize("topic", ["nobody's", "view"])
def test_a_component_applies_a_registered_topic_of_its_own(registry: Registry, topic: str) -> None:
    with pytest.raises(InvalidCapability, match=f"'c' applies \"?'?{topic}'?\"?, which is no input topic"):
        registry.add(topic_component("c", topic))


def test_a_topic_is_applied_by_one_component(registry: Registry) -> None:
    with pytest.raises(InvalidCapability, match="'deletions' applies the topic 'deletions' already"):
        registry.add(topic_component("c", "deletions"))


def test_a_topic_that_nothing_applies_is_named() -> None:
    for taken in ("alerts", "rejected", "", "Upper"):
        with pytest.raises(ValueError, match="topic"):
            register_input_topic(taken)
    register_input_topic("orphan")
    with pytest.raises(InvalidCapability, match="no component applies the input topic 'orphan'"):
        make_registry(SETTINGS)


def test_families_of_keys_are_told_apart() -> None:
    register_family(KeyFamily("known:", "string", SubjectKind.PRODUCT))
    with pytest.raises(ValueError, match="keys 'known:' and 'known:' could be the same"):
        register_family(KeyFamily("known:", "hash"))
    with pytest.raises(ValueError, match="keys 'known:more' and 'known:' could be the same"):
        register_family(KeyFamily("known:more", "hash"))
