"""A resource: one thing that the API serves, with all that belongs to it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from api.http.errors import ErrorAnswer
from api.http.parts import Part
from api.openapi.links import Link
from api.services import Services
from readers.removal import Scrubber

MakeService = Callable[[Services], object]
"""Makes a service of a process; it may use those that were registered before it.

What has `start()` is started, and what has `close()`, a coroutine, is closed when the process ends.
"""
Check = Callable[[Services], Awaitable[Mapping[str, Part]]]
"""How parts are that the resource needs, by their names in `/readyz`; never raises because one is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """What the OpenAPI document says of a resource beyond what FastAPI finds out."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """Text of each tag."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """An example of the answer by the name of the operation."""
    schemas: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """An example by the name of the parameter."""
    path_schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is added to the schemas of parameters of the path, by their names."""
    links: Sequence[Link] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """All fields but the name may be left out. Each is equal to itself alone."""

    name: str
    routers: Sequence[APIRouter] = ()
    direct_routers: Sequence[APIRouter] = ()
    """Of `direct_router`: tried before all others."""
    seldom_routers: Sequence[APIRouter] = ()
    """Asked seldom, or of many paths: tried after those of all resources."""
    services: Sequence[MakeService] = ()
    errors: Mapping[type[Exception], ErrorAnswer] = field(default_factory=dict)
    """Answers to errors of the domain."""
    checks: Sequence[Check] = ()
    scrubbers: Sequence[Scrubber] = ()
    """What removes a deleted visitor's traces outside the partition's state, in this order."""
    browser_paths: frozenset[str] = frozenset()
    """Where pages of other origins may send to, if a publishable key lists them."""
    list_paths: frozenset[str] = frozenset()
    """Where else the elements of a body are judged one by one, a field that comes twice in one too."""
    foreign_paths: frozenset[str] = frozenset()
    """Where senders of other systems send to, with parameters that mean nothing here."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Folders that are served as they are, by their paths."""
    documentation: Documentation = field(default_factory=Documentation)
