"""Where an answer leads: which of its fields is a parameter of which other operation."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class Link(NamedTuple):
    """From the answer of one operation to another; `parameters` are runtime expressions of OpenAPI."""

    source: str
    status: str
    target: str
    parameters: dict[str, str]


def add_links(document: dict[str, Any], links: Iterable[Link]) -> None:
    """Adds the links whose two ends are in the document."""
    operations = {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for operation in item.values()
        if "operationId" in operation
    }
    for source, status, target, parameters in links:
        if source in operations and target in operations:
            shown = operations[source]["responses"][status].setdefault("links", {})
            shown[target] = {"operationId": target, "parameters": parameters}
