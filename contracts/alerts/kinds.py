"""The kinds of alerts there are: what each says beside the rest, and about what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.alerts.fields import Check, InvalidAlert, fields_of
from contracts.subjects import SubjectKind


def list_fields(detail: Mapping[str, Any]) -> str:
    """A detail in words where its kind has none: `stock 3, cover_days 2`."""
    return ", ".join(f"{name} {value}" for name, value in detail.items() if value is not None)


@dataclass(frozen=True, slots=True)
class AlertKindSpec:
    """One kind of alert.

    `detail` is the named tuple of what only alerts of this kind say, `checks` has a check per field of it, in
    order (`contracts.alerts.fields`): the JSON has these fields under their names. `describe` gives the
    detail in a few words for lists, `brief` the detail without what only the step that fires says, and
    whatever may be long. `outcome` says what it means that one is resolved, for people. If `judged_by_end`,
    an alert that expired was right and one that was resolved was not.
    """

    name: str
    title: str
    subjects: frozenset[SubjectKind]
    detail: Callable[..., Any]
    checks: Mapping[str, Check]
    describe: Callable[[Any], str] = lambda detail: list_fields(detail._asdict())
    brief: Callable[[Any], Any] = lambda detail: detail
    outcome: str = "resolved"
    judged_by_end: bool = False

    def encode_detail(self, detail: Any) -> dict[str, Any]:
        """The detail as plain values for JSON."""
        fields: dict[str, Any] = detail._asdict()
        return fields

    def decode_detail(self, value: object) -> Any:
        """The detail in what `encode_detail` gave; unknown fields are ignored. Raises `InvalidAlert`."""
        fields = fields_of("detail", value)
        return self.detail(
            **{name: check(f"detail.{name}", fields.get(name)) for name, check in self.checks.items()}
        )


class InvalidKind(ValueError):
    """A kind that cannot be registered."""


_kinds: dict[str, AlertKindSpec] = {}


def register_kind(spec: AlertKindSpec) -> None:
    """Make a kind known to this process, once; raises `InvalidKind` if the name is another's or no name."""
    if not (spec.name.isascii() and spec.name.isidentifier() and spec.name.islower()):
        raise InvalidKind(f"the name of a kind of alert must be a lower-case word, got {spec.name!r}")
    if not spec.subjects:
        raise InvalidKind(f"{spec.name}: subjects must not be empty")
    if _kinds.setdefault(spec.name, spec) != spec:
        raise InvalidKind(f"{spec.name}: a kind of alert with this name already exists")


def find_kind(name: str) -> AlertKindSpec | None:
    """The registered kind of this name; None for one that this process does not know."""
    return _kinds.get(name)


def kind_names() -> tuple[str, ...]:
    """Names of all registered kinds, those of the product first."""
    return tuple(_kinds)


def describe_detail(kind: str, detail: Any) -> str:
    """What an alert of this kind says beside the rest, in a few words."""
    spec = _kinds.get(kind)
    return list_fields(detail) if spec is None or isinstance(detail, dict) else spec.describe(detail)


def brief_detail(kind: str, detail: Any) -> Any:
    """The detail of an alert of this kind as its later steps have it."""
    spec = _kinds.get(kind)
    return detail if spec is None or isinstance(detail, dict) else spec.brief(detail)


def plain_detail(kind: str, detail: Any) -> dict[str, Any]:
    """The detail of an alert of this kind as plain values, also of an unknown one."""
    if isinstance(detail, dict):
        return detail
    spec = _kinds.get(kind)
    if spec is None:
        raise InvalidAlert("kind.unknown", f"{kind} is not registered, its detail must be a dict")
    return spec.encode_detail(detail)
