"""Nulls in the examples of the OpenAPI document, which FastAPI leaves out of everything it writes."""

from typing import Any


def restore_nulls(schemas: dict[str, Any]) -> None:
    """Puts back into the examples of the schemas the required members that are null."""
    for schema in schemas.values():
        for example in (*schema.get("examples", []), schema.get("example")):
            _restore(schema, example, schemas)


def _restore(schema: dict[str, Any], value: Any, schemas: dict[str, Any]) -> None:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", []):
        _restore(choice, value, schemas)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name in properties:
                value.setdefault(name, None)
        for name in properties:
            if name in value:
                _restore(properties[name], value[name], schemas)
    elif isinstance(value, list):
        for item in value:
            _restore(schema.get("items", {}), item, schemas)
