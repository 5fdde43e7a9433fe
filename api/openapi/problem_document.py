"""How the OpenAPI document shows answers that are errors."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from readers.answers import Answer


class BrokenRule(Answer):
    """One rule of the request that was broken."""

    field: str
    rule: str
    detail: str = Field(description="What is expected; never what came")


class ProblemDocument(Answer):
    """An error as RFC 9457 has it; `code` is stable."""

    type: str = Field(description="`urn:storepulse:problem:` and the code")
    title: str
    status: int
    code: str
    detail: str
    request_id: str = Field(description="Also in the header X-Request-Id, and in our log")
    errors: list[BrokenRule] = Field(default_factory=list)


def describe_problems(texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: why it answers with each of these statuses."""
    return {status: {"model": ProblemDocument, "description": text} for status, text in texts.items()}
