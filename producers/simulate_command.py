"""`storepulse simulate`: options in, exit code out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

import orjson
import typer
from rich.console import Console

from contracts.clock import wall_clock_ms
from contracts.currencies import MINOR_DIGITS
from contracts.events import Event
from contracts.settings import Settings
from producers.exits import EXIT_ERROR, EXIT_USAGE, stop_signal
from producers.installation import check_partitions
from producers.pacing import Pacer
from producers.sender import KafkaSender, SendFailed
from producers.simulator.accounts import with_accounts
from producers.simulator.compare import Shape, comparison_table, measure
from producers.simulator.profiles import PROFILES
from producers.simulator.refunds import Refunds
from producers.simulator.running import FileOutlet, Output, SimulationView, give_out
from producers.simulator.shop_products import shop_products, tell_products
from producers.simulator.simulation import SimulationConfig, simulate

COMPARED_EVENTS = 100_000
COMPARED_RATE = 10.0
"""Almost three hours of simulated time, as long as the samples: sessions are cut off at both ends alike."""
_FILE_DURATION_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """What `storepulse simulate` was asked for. `start` is now or an RFC 3339 time; `speed` None: at once."""

    rate: float = 50.0
    seed: int = 1
    visitors: int = 100_000
    duration_s: float | None = None
    start: str = "now"
    speed: float | None = 1.0
    profile: str = "demo"
    out: Path | None = None
    compare: tuple[Path, ...] = ()
    as_json: bool = False


def run_simulate(settings: Settings, options: SimulateOptions) -> int:
    """Run the synthetic shop; returns the exit code (130 after SIGINT, 143 after SIGTERM)."""
    errors = Console(stderr=True)
    try:
        config = make_config(settings, options)
        return (
            _compare(options, config, errors) if options.compare else _run(settings, options, config, errors)
        )
    except ValueError as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_USAGE
    except (OSError, SendFailed) as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR


def make_config(settings: Settings, options: SimulateOptions) -> SimulationConfig:
    """The configuration that the options mean; raises `ValueError` for what does not fit together.

    Live (from now on, to Kafka) the rate is the same at every hour; otherwise it follows the calendar. A file
    without a `start` ends now.
    """
    if options.profile not in PROFILES:
        raise ValueError(f"--profile must be one of {', '.join(PROFILES)}, got {options.profile!r}")
    now_ms = wall_clock_ms()
    live = options.start == "now" and options.out is None and not options.compare
    if live and options.speed != 1:
        raise ValueError("--start now needs --speed 1: otherwise event times would run ahead of the clock")
    duration_ms = None if options.duration_s is None else round(options.duration_s * 1_000)
    if duration_ms is None and (options.out is not None or options.speed is None):
        duration_ms = _FILE_DURATION_MS
    if options.start == "now":
        start_ms = now_ms if live else now_ms - (duration_ms or 0)
    else:
        start_ms = _parse_start(options.start)
    if not live and start_ms + (duration_ms or 0) > now_ms:
        raise ValueError("the simulated time must lie in the past: choose an earlier --start")
    return SimulationConfig(
        start_ms=start_ms,
        end_ms=None if duration_ms is None else start_ms + duration_ms,
        rate=options.rate,
        visitors=options.visitors,
        profile=PROFILES[options.profile],
        currency=settings.currency,
        timezone=settings.timezone,
        shaped=not live,
    )


def _parse_start(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"--start must be now or a time such as 2025-10-01T08:00:00Z, got {text!r}") from exc
    if moment.tzinfo is None:
        raise ValueError("--start must have a UTC offset, such as Z or +02:00")
    return round(moment.timestamp() * 1_000)


def _run(settings: Settings, options: SimulateOptions, config: SimulationConfig, errors: Console) -> int:
    if options.out is None:
        check_partitions(settings)
    outlet = (
        FileOutlet(options.out) if options.out is not None else _open_shop(settings, config, options.seed)
    )
    pacer = Pacer(None if options.out is not None else options.speed)
    minor_units = 10 ** MINOR_DIGITS[config.currency]
    title = f"simulated shop ({options.profile}), seed {options.seed}"
    with stop_signal() as received, SimulationView(errors, title, config.currency, minor_units) as view:
        refunds = Refunds(options.seed)
        output = give_out(
            refunds.among(with_accounts(simulate(config, options.seed), options.seed)),
            outlet,
            pacer,
            refunded_minor=refunds.amount_minor,
            stopped=lambda: received() is not None,
            on_tick=view.update,
        )
        signal_number = received()
    if options.as_json:
        typer.echo(orjson.dumps(summary(output, config, options.seed)))
    else:
        Console().print(view.table(output))
    return 128 + signal_number if output.interrupted and signal_number else 0


def _open_shop(settings: Settings, config: SimulationConfig, seed: int) -> KafkaSender:
    """A sender that has sent the shop's catalogue."""
    sender = KafkaSender(settings)
    try:
        tell_products(shop_products(config, seed), sender, settings)
    except BaseException:
        sender.close()
        raise
    return sender


def summary(output: Output, config: SimulationConfig, seed: int) -> dict[str, object]:
    """What was given out, as plain values."""
    return {
        "profile": config.profile.name,
        "seed": seed,
        "events": output.events,
        "types": dict(sorted(output.types.items())),
        "revenue_minor": output.revenue_minor,
        "refunded_minor": output.refunded_minor,
        "net_revenue_minor": output.revenue_minor - output.refunded_minor,
        "currency": config.currency,
        "seconds": round(output.seconds, 3),
        "interrupted": output.interrupted,
    }


def _compare(options: SimulateOptions, config: SimulationConfig, errors: Console) -> int:
    from sources import Source, UnknownFormat  # polars, which nothing else here needs

    shapes: dict[str, Shape] = {}
    try:
        for path in options.compare:
            with Source(path, currency=config.currency) as source:
                shapes[path.name] = measure(event for event in source.read() if isinstance(event, Event))
    except UnknownFormat as exc:
        errors.print(str(exc), markup=False, soft_wrap=True)
        return EXIT_ERROR
    # The samples are short pieces of a busy day, so the simulation is measured without the calendar.
    endless = replace(config, shaped=False, end_ms=None, rate=COMPARED_RATE)
    shapes[f"simulated: {options.profile}"] = measure(_first(endless, options.seed))
    if options.as_json:
        typer.echo(orjson.dumps(shapes))
    else:
        Console().print(comparison_table(shapes))
    return 0


def _first(config: SimulationConfig, seed: int) -> Iterator[Event]:
    return islice(simulate(config, seed), COMPARED_EVENTS)
