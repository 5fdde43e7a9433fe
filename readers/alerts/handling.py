"""What people said of alerts: taken on, put off, useful or wrong; and whom to spare further steps.

A snooze mutes a subject and a kind: until it ends, streams and webhooks leave out steps of alerts of this
kind about this subject. Whoever pulls gets them.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import orjson

from contracts.alerts import Alert, AlertState, Verdict, make_record_id, name_in_ids
from contracts.buckets import Grain, bucket_start
from contracts.clock import wall_clock_ms
from contracts.keys import HANDLING_TTL_S
from contracts.subjects import Subject
from models.quality import NO_MODEL, Quality, of_kind
from readers.reader import Reader
from readers.unreadable import UNREADABLE

Part = Literal["acknowledged", "snoozed", "feedback"]
_SCRIPT = files("readers.alerts").joinpath("handle_alert.lua").read_text()


class UnknownAlert(LookupError):
    """No step of the alert is kept."""

    def __init__(self) -> None:
        super().__init__("no alert with this id is stored")


class EndedAlert(RuntimeError):
    """The alert has ended, so nothing may be done about it any more."""

    def __init__(self) -> None:
        super().__init__("the alert has ended: only feedback is still accepted")


class HandlingState(StrEnum):
    """What is being done about an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"


_COUNTER_OF = {Verdict.USEFUL: Quality.USEFUL, Verdict.WRONG: Quality.WRONG}


class Word(NamedTuple):
    """Who said something, by the id of their key, and when (epoch ms)."""

    by: str
    at_ms: int


class Handled(NamedTuple):
    """All that was said of one alert. `until_ms` goes with `snoozed`, verdict and note with `judged`."""

    acknowledged: Word | None = None
    snoozed: Word | None = None
    until_ms: int = 0
    judged: Word | None = None
    verdict: Verdict | None = None
    note: str | None = None

    def state(self, now_ms: int) -> HandlingState:
        """A snooze hides that the alert was acknowledged until the snooze is over."""
        if self.snoozed is not None and now_ms < self.until_ms:
            return HandlingState.SNOOZED
        return HandlingState.OPEN if self.acknowledged is None else HandlingState.ACKNOWLEDGED


NOTHING_SAID = Handled()


async def read_handled(reader: Reader, alerts: Iterable[Alert]) -> list[Handled]:
    """What was said of each of these alerts, in their order."""
    keys = [reader.keys.alert_handling(alert.alert_id) for alert in alerts]
    return [_decode(text) for text in await reader.ask(b"MGET", *keys)] if keys else []


async def find_muted(reader: Reader, alerts: Sequence[Alert], now_ms: int) -> list[bool]:
    """Whether subscribers are to be spared each of these steps if it is sent at `now_ms` (wall clock)."""
    if not alerts:
        return []
    members = [_mute_member(alert) for alert in alerts]
    ends: list[Any] = await reader.ask("ZMSCORE", reader.keys.alert_mutes(), *members)
    return [end is not None and now_ms < end for end in ends]


async def is_muted(reader: Reader, alert: Alert, now_ms: int) -> bool:
    """Whether subscribers are to be spared this step if it is sent at `now_ms` (wall clock)."""
    return (await find_muted(reader, [alert], now_ms))[0]


async def acknowledge(reader: Reader, alert: Alert, by: str) -> Handled:
    """Somebody takes care of it; who said so first stays. Raises `UnknownAlert` or `EndedAlert`."""
    return await _say(reader, alert, "acknowledged", {"by": by, "at_ms": wall_clock_ms()})


async def snooze(reader: Reader, alert: Alert, by: str, until_ms: int) -> Handled:
    """Spares subscribers this subject and kind until then. Raises `UnknownAlert` or `EndedAlert`."""
    word = {"by": by, "at_ms": wall_clock_ms(), "until_ms": until_ms}
    return await _say(reader, alert, "snoozed", word)


async def judge(
    reader: Reader, alert: Alert, by: str, verdict: Verdict, note: str | None, as_of_ms: int
) -> Handled:
    """The last verdict counts, in the buckets of `as_of_ms` (stream time); raises `UnknownAlert`."""
    word: dict[str, Any] = {"by": by, "at_ms": wall_clock_ms(), "verdict": verdict}
    if note is not None:  # cjson has no null that a reader could tell from a missing field
        word["note"] = note
    return await _say(reader, alert, "feedback", word, as_of_ms)


async def take_back(reader: Reader, alert: Alert, part: Part) -> Handled:
    """As if it had not been said; nothing changes if it was not. Raises `UnknownAlert`."""
    return await _say(reader, alert, part, None)


async def _say(
    reader: Reader, alert: Alert, part: Part, word: Mapping[str, Any] | None, as_of_ms: int = 0
) -> Handled:
    buckets = _feedback_buckets(reader, as_of_ms) if word is not None and part == "feedback" else {}
    keys = [
        reader.keys.alert_places(),
        reader.keys.alert_handling(alert.alert_id),
        reader.keys.alert_mutes(),
        *buckets,
    ]
    args = [
        *[make_record_id(alert.alert_id, state) for state in AlertState],
        part,
        b"" if word is None else orjson.dumps(word),
        wall_clock_ms(),
        HANDLING_TTL_S,
        _mute_member(alert),
        0 if word is None else word.get("until_ms", 0),
        _counter(alert, word),
        *buckets.values(),
    ]
    reply: Any = await reader.redis.eval(_SCRIPT, len(keys), *keys, *args)
    if reply[0] == b"unknown":
        raise UnknownAlert
    if reply[0] == b"ended":
        raise EndedAlert
    return _decode(reply[1])


def _feedback_buckets(reader: Reader, as_of_ms: int) -> dict[str, int]:
    """The buckets a verdict counts in, and the seconds each is kept."""
    settings = reader.settings
    ttls: dict[Grain, int] = {
        "minute": settings.minute_ttl_s,
        "hour": settings.hour_ttl_s,
        "day": settings.day_ttl_s,
    }
    return {
        reader.keys.feedback_bucket(grain, bucket_start(as_of_ms, grain)): ttl_s
        for grain, ttl_s in ttls.items()
    }


def _counter(alert: Alert, word: Mapping[str, Any] | None) -> str:
    if word is None or "verdict" not in word:
        return ""
    return f"{of_kind(_COUNTER_OF[word['verdict']], alert.kind)}:{alert.model or NO_MODEL}"


def mute_member(kind: str, subject: Subject) -> str:
    """The member of the sorted set of snoozes for alerts of a kind about a subject."""
    return f"{kind}:{name_in_ids(subject)}"


def _mute_member(alert: Alert) -> str:
    return mute_member(alert.kind, alert.subject)


def _decode(text: bytes | str | None) -> Handled:
    if text is None:
        return NOTHING_SAID
    try:
        return _decode_sound(text)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:  # one must not keep the others away
        UNREADABLE.note("what was said of an alert", exc)
        return NOTHING_SAID


def _decode_sound(text: bytes | str) -> Handled:
    said: dict[str, dict[str, Any]] = orjson.loads(text)
    snoozed, judged = said.get("snoozed"), said.get("feedback")
    return Handled(
        acknowledged=_word(said.get("acknowledged")),
        snoozed=_word(snoozed),
        until_ms=0 if snoozed is None else int(snoozed["until_ms"]),
        judged=_word(judged),
        verdict=None if judged is None else Verdict(judged["verdict"]),
        note=None if judged is None else judged.get("note"),
    )


def _word(fields: Mapping[str, Any] | None) -> Word | None:
    return None if fields is None else Word(fields["by"], int(fields["at_ms"]))
