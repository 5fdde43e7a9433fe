"""Answers about the process itself."""

from typing import Literal

from api.http.parts import Part
from readers.answers import Answer


class Readiness(Answer):
    """The worst status of the parts, or `stopping`; and each part."""

    status: Literal["ok", "degraded", "down", "stopping"]
    parts: dict[str, Part]


class Startup(Answer):
    """Whether the process has finished its start, so that its first answer is as fast as later ones."""

    status: Literal["ok", "starting"]


class Liveness(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
