"""A thing that the API needs, and how it is: what readiness is made of."""

from typing import Literal

from readers.answers import Answer

PartStatus = Literal["ok", "degraded", "down"]


class Part(Answer):
    """One thing the API needs."""

    status: PartStatus
    detail: str
