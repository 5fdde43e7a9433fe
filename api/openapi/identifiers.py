"""How the OpenAPI document shows ids of visitors and products."""

from typing import Any

from contracts.fields import MAX_ID_CHARS

NO_CONTROL = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"
_VISIBLE = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
TEXT_ID: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_CHARS,
    "pattern": f"^{NO_CONTROL}*{_VISIBLE}{NO_CONTROL}*$",
}
