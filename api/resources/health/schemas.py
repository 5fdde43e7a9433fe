"""Answers about the process itself."""

from typing import Literal

from api.http.parts import Part
from readers.answers import Answer


class Readiness(Answer):
    """The worst status of the parts, or `stopping`; and each part."""

    status: Literal["ok", "degraded", "down", "stopping"]
    parts: dict[str, Part]


class Startup(Answer):
    """Whether the process has done what it does once, before its first answer is as fast as the others."""

    status: Literal["ok", "starting"]


class Liveness(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
