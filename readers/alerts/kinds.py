"""The name of a kind of alert in parameters and bodies: one of those that are registered."""

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

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


def _check(name: str) -> str:
    known = kind_names()
    if name not in known:
        *others, last = map(repr, known)
        raise PydanticCustomError(
            "enum", "Input should be {expected}", {"expected": f"{', '.join(others)} or {last}"}
        )
    return name
