"""The name of a kind of alert in parameters and bodies: one of those that are registered."""

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from contracts.alerts import kind_names


class AlertKind(str):
    """What the alert is about."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            _check, handler.generate_schema(str), ref=f"{cls.__module__}.{cls.__name__}"
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # Asked whenever a document is made, so that kinds of extensions are in it.
        return {
            "description": cls.__doc__,
            "enum": list(kind_names()),
            "title": cls.__name__,
            "type": "string",
        }


class _AtMostEach:
    """Of a list of kinds: not more than there are."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_check_length, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "maxItems": len(kind_names())}


AlertKinds = Annotated[list[AlertKind], _AtMostEach()]
"""Kinds to choose from, each at most once."""


def _check_length(names: list[Any]) -> list[Any]:
    most = len(kind_names())
    if len(names) > most:
        told = {"field_type": "List", "max_length": most, "actual_length": len(names)}
        raise PydanticKnownError("too_long", told)
    return names


def _check(name: str) -> str:
    known = kind_names()
    if name not in known:
        *others, last = map(repr, known)
        raise PydanticCustomError(
            "enum", "Input should be {expected}", {"expected": f"{', '.join(others)} or {last}"}
        )
    return name
