"""The doctor's checks of the services that the settings name."""

from collections.abc import Iterator

from contracts.extensions import load_contracts
from contracts.settings import Settings
from ops.diagnosis.checks import Check, Level
from ops.diagnosis.kafka import check_kafka
from ops.diagnosis.redis import check_redis


def check_services(settings: Settings, *, required: bool) -> Iterator[Check]:
    """Checks of Redis and Kafka; that one does not answer fails only when they are `required`."""
    load_contracts(settings)  # which may register topics
    level = Level.FAIL if required else Level.WARN
    advice = (
        "look into its log"
        if required
        else "start one with `storepulse up`, or set the STOREPULSE_* variables to yours"
    )
    absent = Check("absent", level, "no answer", advice)
    yield from check_redis(settings, absent)
    yield from check_kafka(settings, absent)
