"""How the OpenAPI document shows answers that are errors."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from readers.answers import Answer


class BrokenRule(Answer):
    """One rule of the request that was broken."""

    field: str
    rule: str
    detail: str = Field(description="What is expected; never contains the value sent")


class ElementRefusal(Answer):
    """One element of a request that breaks a rule."""

    index: int = Field(ge=0, description="Place among the elements sent, from 0; blank lines do not count")
    code: str = Field(description="Field and rule, such as price.negative; stable")
    detail: str = Field(description="What is expected; never contains the value sent")


class ElementsProblem(Answer):
    """The fields of a problem document whose `errors` are those of single elements of the request."""

    type: str
    title: str
    status: int
    code: str
    detail: str


class ProblemDocument(Answer):
    """A problem document (RFC 9457); `code` is stable."""

    type: str = Field(description="`urn:storepulse:problem:` and the code")
    title: str
    status: int
    code: str
    detail: str
    request_id: str = Field(description="Also in the header X-Request-Id and in the log")
    errors: list[BrokenRule] = Field(default_factory=list)


def describe_problems(texts: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: why it answers with each of these statuses."""
    return {status: {"model": ProblemDocument, "description": text} for status, text in texts.items()}
