"""Alerts about subjects other than visitors, for components that keep the track of each in their own state.

    track, alerts = fire_alert(track, product("p1"), "stock_low", firing, cooldown_ms=3_600_000)
    track, alerts = close_alert(track, AlertState.RESOLVED, at_ms)

A component gives the alerts to the commit that writes the track (`stream.batch.result.Change`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from contracts.alerts import (
    Alert,
    AlertState,
    brief_detail,
    decode_alert,
    encode_alert,
    make_alert_id,
    name_in_ids,
)
from contracts.subjects import Subject
from stream.alerts.rules import Firing


class AlertTrack(NamedTuple):
    """What is kept of one kind of alerts about a subject: how many fired, the cool-down, the open one."""

    episodes: int = 0
    quiet_until_ms: int = 0
    open: Alert | None = None


NO_TRACK = AlertTrack()
Tracked = tuple[AlertTrack, list[Alert]]


def fire_alert(
    track: AlertTrack, subject: Subject, kind: str, firing: Firing, *, cooldown_ms: int, live: bool = True
) -> Tracked:
    """The track after this firing, and the alert to publish: none while one is open or the cool-down is on.

    `live` is False for what follows from an old event only. The id depends on subject, kind, episode and the
    time of firing, so that reading the log again makes the same.
    """
    if track.open is not None or firing.at_ms < track.quiet_until_ms:
        return track, []
    episode = track.episodes + 1
    alert = Alert(
        make_alert_id(name_in_ids(subject), kind, 0, episode, firing.at_ms),
        kind, AlertState.FIRING, firing.severity, subject, episode, firing.at_ms, firing.at_ms, live,
        firing.detail, firing.model, firing.threshold, firing.reasons,
    )  # fmt: skip
    still_open = alert._replace(reasons=(), detail=brief_detail(kind, firing.detail))
    return AlertTrack(episode, firing.at_ms + max(1, cooldown_ms), still_open), [alert]


def close_alert(track: AlertTrack, state: AlertState, at_ms: int) -> Tracked:
    """The track once the open alert is resolved or expired, and its last step; neither if none is open."""
    if track.open is None:
        return track, []
    at_ms = max(at_ms, track.open.fired_ms)
    quiet_until_ms = max(track.quiet_until_ms, at_ms)
    return track._replace(quiet_until_ms=quiet_until_ms, open=None), [
        track.open._replace(state=state, at_ms=at_ms)
    ]


def pack_track(track: AlertTrack) -> tuple[Any, ...]:
    """The track as plain values for msgpack; empty if nothing ever fired."""
    if track == NO_TRACK:
        return ()
    return track.episodes, track.quiet_until_ms, None if track.open is None else encode_alert(track.open)


def unpack_track(fields: Sequence[Any]) -> AlertTrack:
    """The track in what `pack_track` gave."""
    if not fields:
        return NO_TRACK
    episodes, quiet_until_ms, opened = fields
    return AlertTrack(episodes, quiet_until_ms, None if opened is None else decode_alert(opened))
