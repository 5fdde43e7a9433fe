"""The alert: one thing someone should know of a subject now, and its life cycle."""

import hashlib
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from contracts.subjects import Subject, SubjectKind


class AlertState(StrEnum):
    """firing -> resolved (the visitor bought after all) or expired (time ran out); both are final."""

    FIRING = "firing"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Severity(StrEnum):
    """How much is at stake; a visitor's by the value of the cart, or its number of products without one."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Verdict(StrEnum):
    """Whether the alert was found useful."""

    USEFUL = "useful"
    WRONG = "wrong"


class Alert(NamedTuple):
    """One step in the life of an alert. Times are event times in ms; `at_ms` is that of this step.

    `kind` is the name of a registered kind, or one that this version does not know. `detail` is what alerts
    of this kind say beside the rest: a value of `AlertKindSpec.detail`, or a dict of plain values of an
    unknown kind. Detail, severity, model and threshold are those of the moment of firing, also in later
    steps, which have no reasons. `episode` counts alerts of a kind about the subject, from 1 (a visitor's
    within the session). `model` is None where none was asked, `threshold` where none applies. `live` is
    False for what a replay or a very late event came to: it is recorded, but nobody should act on it.
    `customer_id` is who was logged in on the visitor's device at this step.
    """

    alert_id: str
    kind: str
    state: AlertState
    severity: Severity
    subject: Subject
    episode: int
    at_ms: int
    fired_ms: int
    live: bool
    detail: Any
    model: str | None = None
    threshold: float | None = None
    reasons: tuple[str, ...] = ()
    customer_id: str | None = None

    @property
    def record_id(self) -> str:
        """The same for every copy of this step, so that readers can drop repeats."""
        return make_record_id(self.alert_id, self.state)

    @property
    def user_id(self) -> str | None:
        """The visitor it is about; None for every other subject."""
        return self.subject.id if self.subject.kind is SubjectKind.VISITOR else None


def make_alert_id(subject_name: str, kind: str, session: int, episode: int, first_ms: int) -> str:
    """The id of an alert about a subject of this name (`name_in_ids`).

    `first_ms` is when the visitor was first seen: a state that expired starts counting sessions anew. Of a
    subject without sessions `session` is 0 and `first_ms` when the alert fired.
    """
    parts = orjson.dumps([subject_name, kind, session, episode, first_ms])
    return hashlib.blake2b(parts, digest_size=12).hexdigest()


def name_in_ids(subject: Subject) -> str:
    """The name of a subject in ids of alerts and in mutes: a visitor's is the user id alone."""
    return subject.id if subject.kind is SubjectKind.VISITOR else str(subject)


def make_record_id(alert_id: str, state: AlertState) -> str:
    """The id of the step that brings the alert into this state: every alert comes into a state once."""
    return f"{alert_id}-{state.value}"
