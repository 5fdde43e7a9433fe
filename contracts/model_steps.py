"""Steps in the life of model versions: the records of the topic `models`, keyed by the slot of the model.

Everyone who reads the topic folds them into the same state (`models.lifecycle.state`). `number` counts a
slot's steps: of two steps with one number the first in the topic counts, so writers need no lock.
"""

import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson


class StepKind(StrEnum):
    """What becomes of a version."""

    CANDIDATE = "candidate"
    """It is in the store, and will be checked."""
    SHADOW = "shadow"
    """It passed the checks, and runs beside the champion."""
    PROMOTE = "promote"
    """It is the champion. After a promotion from the shadow the one before goes on running beside it."""
    REJECT = "reject"
    """It will not be used."""
    ROLL_BACK = "roll_back"
    """It was the champion, and the one before it is again."""
    CONFIRM = "confirm"
    """It was promoted and has proved itself: the one before runs beside it no longer."""
    PIN = "pin"
    """It is the champion until it is unpinned, whatever the figures say."""
    UNPIN = "unpin"


class Author(StrEnum):
    """Who decided on a step."""

    LEARNER = "learner"
    OPERATOR = "operator"


class ModelStep(NamedTuple):
    """One step. `figures` are what it was decided by, `at_ms` is the wall clock of its writer."""

    step_id: str
    slot: str
    number: int
    kind: StepKind
    version: str
    at_ms: int
    author: Author
    reason: str
    figures: Mapping[str, float]


class InvalidStep(ValueError):
    """Bytes that are no step; the message says why."""


def new_step_id() -> str:
    """An id that no other step has."""
    return uuid.uuid4().hex


def encode_step(step: ModelStep) -> bytes:
    """The value of its record, as JSON."""
    return orjson.dumps(step._asdict())


def decode_step(value: bytes) -> ModelStep:
    """The step in a record's value; raises `InvalidStep`."""
    try:
        fields = orjson.loads(value)
        step = ModelStep(**{name: fields[name] for name in ModelStep._fields})
        if not (isinstance(step.slot, str) and isinstance(step.number, int) and step.version):
            raise InvalidStep("a step of a model has a slot, a number and a version")
        return step._replace(kind=StepKind(step.kind), author=Author(step.author), figures=dict(step.figures))
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidStep(f"the record is no step of a model: {exc!r}") from exc
