"""The resources of an installation: the product's own, and those of its extensions."""

from importlib import import_module

from api.resource import Resource
from api.resources import NAMES
from contracts.extensions import load_contracts, load_part
from contracts.settings import Settings
from readers.removal import Scrubber


class DuplicateResource(ValueError):
    """Two resources have one name."""


class ResourceRegistry:
    """Takes resources, in the order in which their routes are tried and they are documented."""

    def __init__(self) -> None:
        self._resources: dict[str, Resource] = {}

    @property
    def resources(self) -> tuple[Resource, ...]:
        """All that were added."""
        return tuple(self._resources.values())

    def add(self, resource: Resource) -> None:
        """Raises `DuplicateResource` if there is one of this name."""
        if resource.name in self._resources:
            raise DuplicateResource(f"there are two resources named {resource.name!r}")
        self._resources[resource.name] = resource


def find_resources(settings: Settings) -> tuple[Resource, ...]:
    """The product's resources, then those of the extensions in the settings.

    Raises `DuplicateResource` or `contracts.extensions.InvalidExtension`.
    """
    load_contracts(settings)  # before schemas are made of what is registered there
    registry = ResourceRegistry()
    for name in NAMES:
        registry.add(import_module(f"api.resources.{name}.resource").RESOURCE)
    for extension in load_part(settings, "api"):
        extension.register(registry)
    return registry.resources


def find_scrubbers(settings: Settings) -> list[Scrubber]:
    """What removes a deleted visitor's traces, of all resources; raises as `find_resources` does."""
    return [scrubber for resource in find_resources(settings) for scrubber in resource.scrubbers]
