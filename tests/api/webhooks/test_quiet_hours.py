"""Quiet hours: what they are at a moment, and that nothing is sent in them."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from delivery.webhooks.deliveries import DeliveryStatus
from delivery.webhooks.quiet_hours import QuietHours
from receivers import Receiver
from webhook_site import Site, until

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("hours", "now", "ends"),
    [
        ("22:00-08:00", "2026-03-10T21:59:59", ""),
        ("22:00-08:00", "2026-03-10T22:00:00", "2026-03-11T08:00:00"),
        ("22:00-08:00", "2026-03-11T07:59:59", "2026-03-11T08:00:00"),
        ("22:00-08:00", "2026-03-11T08:00:00", ""),
        ("12:30-14:00", "2026-03-11T13:00:00", "2026-03-11T14:00:00"),
        ("12:30-14:00", "2026-03-11T12:29:59", ""),
        ("22:00-08:00", "2026-03-28T23:00:00", "2026-03-29T08:00:00"),  # the clocks go forward
        ("22:00-08:00", "2026-10-24T23:00:00", "2026-10-25T08:00:00"),  # and back
        ("08:00-08:00", "2026-03-11T08:00:00", ""),
    ],
)
def test_quiet_hours_end_at_their_time_of_day(hours: str, now: str, ends: str) -> None:
    quiet = QuietHours.parse(hours)
    assert quiet.ends_ms(ms(now), BERLIN) == (ms(ends) if ends else 0)


@pytest.mark.parametrize("text", ["", "22-8", "24:00-08:00", "22:00-08:60", "22:00 - 08:00"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quiet hours must be HH:MM-HH:MM"):
        QuietHours.parse(text)


async def test_what_comes_in_quiet_hours_is_sent_when_they_end(site: Site, receiver: Receiver) -> None:
    endpoint = await site.add(receiver.url)
    now = datetime.now(ZoneInfo(site.settings.timezone))
    hours = "-".join(f"{now + timedelta(hours=by):%H:%M}" for by in (-1, 2))
    await site.registry.change(endpoint.endpoint_id, lambda old: replace(old, quiet_hours=hours))
    async with site.delivering():
        (message_id,) = site.publish()

        async def is_waiting() -> bool:
            return (await site.status(endpoint)).pending == 1

        await until(is_waiting, "the message to wait")
        assert (await site.registry.read(endpoint.endpoint_id)).quiet_hours == hours
        assert receiver.received == []
        await site.registry.change(endpoint.endpoint_id, lambda old: replace(old, quiet_hours=""))
        await site.wait_until_status(endpoint, message_id, DeliveryStatus.DELIVERED)
