"""The benchmarks as the command line runs them: measure, show, and give the figures for the JSON file."""

import asyncio
import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from rich.console import Console

from benchmarks import alerts as alerts_bench
from benchmarks import api as api_bench
from benchmarks import calls as calls_bench
from benchmarks import core as core_bench
from benchmarks import delay as delay_bench
from benchmarks import jobs as jobs_bench
from benchmarks import load as load_bench
from benchmarks import memory as memory_bench
from benchmarks import profile as profile_bench
from benchmarks import publishing as publishing_bench
from benchmarks import recommendations as recommendations_bench
from benchmarks import recommendations_api as recommendations_api_bench
from benchmarks import recommendations_fresh as recommendations_fresh_bench
from benchmarks import scaling as scaling_bench
from benchmarks import scoring as scoring_bench
from benchmarks import tables
from benchmarks import throughput as throughput_bench
from benchmarks import webhooks as webhooks_bench
from benchmarks.aims import Aim
from benchmarks.item_rates import compare_rates, time_rates
from benchmarks.pace import SETTLE_S
from benchmarks.services import Services, create_topics, drop_topics, make_settings
from benchmarks.shop_log import make_events, preload
from benchmarks.visitors import make_scored_visitors
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from models.artefacts.card import ArtefactError
from models.next_action.encoding import encode_visitor, stack
from models.next_action.predictor import Predictor, load
from ops.learning.shop_events import make_progress, read_events, title_of
from stream.batch.core import PYTHON, choose_core, load_compiled
from stream.compiled.guard import CompiledStepsError

Figures = dict[str, Any]

WIDTH = 120
"""Columns where the output goes to a file: rich would take 80, too few for the tables."""
console = Console(width=None if sys.stdout.isatty() else WIDTH)
CORE_BATCHES = (8_000, 400, 40, 8)
TWO_WORKERS_AIM = 1.7
RATES_PACES = ((1_000, 0), (1_000, 30_000), (60_000, 30_000))
"""Length of a batch and how late the partitions of other workers are known (ms); 0: all are of one worker."""
ALERTS_AIM_MS = 250.0
RECOMMENDATION_QUERIES = 5_000
DELAY_CONTENDERS = "fcsde"
ALERTS_CONTENDERS = "fs"
"""The floor and the worker that scores; the others fire no alerts."""


def run_core(events: int) -> Figures:
    """Measure and show the pure steps, counting only and with scoring."""
    settings = Settings()
    rows: list[core_bench.CoreRow] = []
    blobs: list[core_bench.BlobRow] = []
    models = [None, found] if (found := find_model(settings)) else [None]
    cores = [PYTHON]
    try:
        cores.append(load_compiled())
    except CompiledStepsError as exc:
        console.log(f"compiled steps left out: {exc}")
    for core in cores:
        for model in models:
            what = "counting only" if model is None else "with scoring"
            for batch in CORE_BATCHES:
                with console.status(f"steps in {core.name}, {what}, {batch} events per commit"):
                    rows.append(
                        core_bench.measure_core(settings, core, events=events, batch=batch, model=model)
                    )
        blobs.append(core_bench.measure_blobs(settings, core, events=events))
    tables.show_core(console, rows, blobs)
    return {
        "core": [asdict(row) | {"total_us": row.total_us} for row in rows],
        "visitor": [asdict(blob) for blob in blobs],
    }


def run_item_rates(events: Path, model: Path | None, partitions: int) -> Figures:
    """Measure and show how near live rates of items are to those of training, at several paces."""
    settings = Settings(partitions=partitions)
    predictor = None if model is None else load(model)
    rows = {}
    with make_progress(console, title_of(events)) as progress:
        known = list(read_events(events, progress, currency=settings.currency))
    for batch_ms, late_ms in RATES_PACES:
        with console.status(f"rates, batches of {batch_ms / 1e3:g} s, others {late_ms / 1e3:g} s late"):
            rows[batch_ms, late_ms] = compare_rates(
                known, predictor, settings, choose_core(compiled=True), batch_ms=batch_ms, late_ms=late_ms
            )
    us = time_rates(known, settings, (PYTHON, load_compiled()))
    tables.show_item_rates(console, rows, us)
    return {
        "item_rates": [{"batch_ms": pace[0], "late_ms": pace[1]} | asdict(row) for pace, row in rows.items()],
        "item_rates_us": us,
    }


def run_recommendations(sessions: int, products: int) -> Figures:
    """Measure and show what a recommendation costs."""
    total = -(-sessions // 1_000)
    with tables.progress_bar(console, "filling the index", total) as advance:
        found = recommendations_bench.measure_recommendations(
            sessions, products, RECOMMENDATION_QUERIES, seed=1, progress=advance
        )
    tables.show_recommendations(console, found)
    return {"recommendations": asdict(found)}


def run_scoring(runs: int) -> Figures:
    """Measure and show what a visitor's score costs; without a model there is nothing to show."""
    settings = Settings()
    model = find_model(settings)
    if model is None:
        return {}
    visitors = make_scored_visitors(settings, scoring_bench.SUBJECTS)
    engines: scoring_bench.Engines | None = None
    if find_spec("torch") is None or find_spec("onnx") is None:
        console.log("torch left out: torch and onnx are not both installed")
    else:
        from benchmarks.engines import BothEngines  # torch takes seconds to load, and may be absent

        engines = BothEngines(visitors, settings.idle_ms)
    total = (runs + 1) * len(scoring_bench.BATCHES)
    with tables.progress_bar(console, "scoring visitors", total) as advance:
        found = scoring_bench.measure_scoring(
            settings, model, visitors, runs=runs, engines=engines, progress=advance
        )
    tables.show_scoring(console, found)
    rows = [asdict(row) | {"total_us": row.total_us, "torch_to_onnx": row.ratio} for row in found.rows]
    return {"scoring": asdict(found) | {"rows": rows}}


def run_calls(runs: int) -> Figures:
    """Measure and show how much padding in a call of the model is worth a call of its own."""
    settings = Settings()
    model = find_model(settings)
    if model is None:
        return {}
    visitors = make_scored_visitors(settings, scoring_bench.SUBJECTS)
    batch = stack([encode_visitor(*visitor, settings.idle_ms) for visitor in visitors])
    with tables.progress_bar(console, "asking the model", runs + 1) as advance:
        us = calls_bench.measure_calls(model, batch, runs=runs, progress=advance)
    counts = calls_bench.count_calls(batch)
    tables.show_calls(console, us, counts)
    return {
        "calls": [
            {"visitors": size, "padding": limit, "calls": counts[size][limit], "us": taken}
            for size, own in us.items()
            for limit, taken in own.items()
        ]
    }


def find_model(settings: Settings) -> Predictor | None:
    """The model that workers score with, or None and a line that says why there is none."""
    try:
        return scoring_bench.load_model(settings)
    except (ArtefactError, OSError) as exc:
        console.log(f"scoring left out, there is no model: {exc}", style="red")
        return None


def run_throughput(services: Services, runs: int, events: int, contenders: str) -> Figures:
    """Measure and show the contenders side by side."""
    shop = prepare(services, events)
    rows = throughput_bench.measure(
        services, shop, events=events, runs=runs, keys=contenders, note=console.log
    )
    drop_topics(shop)
    ratios = throughput_bench.ratios(rows)
    tables.show_throughput(console, rows, [*ratios, *throughput_bench.speeds(rows)])
    return {"throughput": [asdict(row) for row in rows], "ratios": {r.name: r.value for r in ratios}}


def run_scaling(services: Services, runs: int, events: int) -> Figures:
    """Measure and show one worker against two."""
    rows = scaling_bench.measure_scaling(
        services, lambda settings: fill(settings, events), events=events, runs=runs, note=console.log
    )
    ratios = judge_scaling(rows)
    tables.show_scaling(console, rows, ratios, os.cpu_count() or 1)
    return {"scaling": [asdict(row) for row in rows], "ratios": {r.name: r.value for r in ratios}}


def judge_scaling(rows: Sequence[scaling_bench.ScalingRow]) -> list[Aim]:
    """Two workers relative to one, free and, where that was possible, held to a part of a core each."""
    speeds = {(row.workers, row.share): row.events_per_s for row in rows}
    return [
        Aim(
            f"two/one, {share:.0%} of a core each" if share else "two/one",
            speeds[2, share] / speeds[1, share],
            TWO_WORKERS_AIM,
        )
        for share in dict.fromkeys(row.share for row in rows)
    ]


def run_delay(services: Services, rate: int, seconds: int, contenders: str) -> Figures:
    """Measure and show delays."""
    rows = []
    total = rate * int(seconds + SETTLE_S)
    wanted = "".join(key for key in contenders if key in DELAY_CONTENDERS)
    for contender in throughput_bench.choose(wanted, console.log):
        settings = make_settings(services, scoring=contender.scoring)
        create_topics(settings)
        with tables.progress_bar(console, f"delay of {contender.title}", total) as advance:
            rows.append(
                delay_bench.measure_delay(
                    services, settings, contender, rate=rate, seconds=seconds, progress=advance
                )
            )
        drop_topics(settings)
    tables.show_delay(console, rows)
    return {"delay": [asdict(row) for row in rows]}


def run_alerts(services: Services, runs: int, rate: int, seconds: int, contenders: str) -> Figures:
    """Measure and show the way from an event to its alert."""
    rows = []
    total = rate * int(seconds + SETTLE_S)
    wanted = "".join(key for key in contenders if key in ALERTS_CONTENDERS)
    for number, contender in itertools.product(
        range(1, runs + 1), throughput_bench.choose(wanted, console.log)
    ):
        with tables.progress_bar(console, f"{contender.title}, run {number}", total) as advance:
            rows.append(
                alerts_bench.measure_alerts(services, contender, rate=rate, seconds=seconds, progress=advance)
            )
    tables.show_alerts(console, rows, judge_alerts(rows))
    return {"alerts": [asdict(row) for row in rows]}


def judge_alerts(rows: Sequence[alerts_bench.AlertsRow]) -> list[Aim]:
    """The median p99 of our runs beside its aim, and beside that of the floor."""
    ours = [row.p99_ms for row in rows if not row.is_floor]
    floor = [row.p99_ms for row in rows if row.is_floor]
    aims = [Aim("median p99", median(ours), ALERTS_AIM_MS, " ms", at_most=True)] if ours else []
    if ours and floor:
        aims.append(Aim("median p99 over the floor's", median(ours) / median(floor), None))
    return aims


def run_load(services: Services, rate: int, alerts_rate: int, seconds: int) -> Figures:
    """Measure and show what scoring does to the delay, at a pace, overloaded, and up to the alerts."""
    rows = load_bench.measure_load(services, rate=rate, seconds=seconds, note=console.log)
    (scorer,) = throughput_bench.choose("s", console.log)
    total = alerts_rate * int(seconds + SETTLE_S)
    with tables.progress_bar(console, "alerts", total) as advance:
        alert = alerts_bench.measure_alerts(
            services, scorer, rate=alerts_rate, seconds=seconds, progress=advance
        )
    tables.show_delay(console, rows)
    tables.show_alerts(console, [alert], load_bench.judge_load(rows, [alert]))
    return {"load": [asdict(row) for row in rows], "load_alerts": asdict(alert)}


def run_jobs(services: Services, runs: int, rate: int, seconds: int) -> Figures:
    """Measure and show what work beside the stream costs it."""
    rows = jobs_bench.measure_jobs(services, runs=runs, rate=rate, seconds=seconds, note=console.log)
    tables.show_jobs(console, rows, jobs_bench.judge_jobs(rows))
    return {"jobs": [asdict(row) for row in rows]}


def run_api(services: Services, runs: int) -> Figures:
    """Measure and show the API beside bare routes."""
    rows = api_bench.measure_api(services, runs=runs, note=console.log)
    tables.show_api(console, rows)
    return {"api": [asdict(row) | {"ratio": row.ratio} for row in rows]}


def run_recommendations_api(services: Services, per_s: float, rate: int, seconds: float) -> Figures:
    """Measure and show the answers of the API beside a worker."""
    row = recommendations_api_bench.measure_recommendations(
        services, per_s=per_s, events_per_s=rate, seconds=seconds, note=console.log
    )
    recommendations_api_bench.show_row(console, row)
    return {"recommendations_api": asdict(row)}


def run_recommendations_fresh(services: Services, rate: int, seconds: float) -> Figures:
    """Measure and show how soon a click changes the answers."""
    row = recommendations_fresh_bench.measure_freshness(
        services, events_per_s=rate, seconds=seconds, note=console.log
    )
    recommendations_fresh_bench.show_fresh(console, row)
    return {"recommendations_fresh": asdict(row)}


def run_publishing(services: Services, runs: int, events: int, rate: int, seconds: int) -> Figures:
    """Measure and show what publishing recommendations costs a worker."""
    shop = prepare(services, events)
    rows = publishing_bench.measure_publishing(
        services, shop, events=events, runs=runs, rate=rate, seconds=seconds, note=console.log
    )
    drop_topics(shop)
    publishing_bench.show_publishing(console, rows)
    return {"publishing": [asdict(row) for row in rows]}


def run_webhooks(services: Services, seconds: int) -> Figures:
    """Measure and show the delivery of webhooks beside bad receivers."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rows, per_s = runner.run(webhooks_bench.measure_webhooks(services.redis_url, seconds))
    tables.show_aims(console, webhooks_bench.show_webhooks(console, rows, per_s))
    return {"webhooks": [asdict(row) for row in rows], "webhook_deliveries_per_s": per_s}


def run_memory(services: Services, visitors: int, scoring: bool) -> Figures:
    """Measure and show memory."""
    rows = [
        memory_bench.measure_kept(
            services, visitors=visitors // 6, events_per_visitor=6, scoring=scoring, note=console.log
        ),
        memory_bench.measure_passing(services, visitors=visitors, scoring=scoring, note=console.log),
    ]
    tables.show_memory(console, rows)
    return {
        "memory": [
            asdict(row) | {"worker_bytes": row.worker_bytes, "redis_bytes": row.redis_bytes} for row in rows
        ]
    }


def run_profile(services: Services, seconds: int, events: int, top: int, scoring: bool) -> Figures:
    """Measure and show where the worker's time goes."""
    shop = prepare(services, events, scoring=scoring)
    with console.status(f"sampling the worker for {seconds} s"):
        found = profile_bench.measure_profile(services, shop, seconds=seconds)
    drop_topics(shop)
    tables.show_profile(console, found, top=top)
    return {"profile": asdict(found)}


def prepare(services: Services, events: int, *, scoring: bool = False) -> Settings:
    """An installation whose topics hold the shop's log, its last event about now."""
    settings = make_settings(services, scoring=scoring)
    create_topics(settings)
    fill(settings, events)
    return settings


def fill(settings: Settings, events: int) -> None:
    """Write the shop's log: one event a millisecond, the last about now."""
    first_ms = wall_clock_ms() - events
    with tables.progress_bar(console, f"writing {events:,} events to Kafka", events) as advance:
        preload(settings, make_events(events, first_ms=first_ms, step_ms=1.0, seed=7), progress=advance)
