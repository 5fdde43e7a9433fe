"""`storepulse evaluate recommendations`: a shop's past replayed, live recommendations beside baselines."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from models.evaluation.bootstrap import Interval
from models.recommendation.evaluation.baselines import baselines
from models.recommendation.evaluation.figures import Block, measure
from models.recommendation.evaluation.live import Live
from models.recommendation.evaluation.replay import CUT, Contender, actions_in_time, replay
from models.recommendation.request import ActionWeights
from models.recommendation.session_model import SessionModel
from ops.learning.evaluation import FILE_WIDTH
from ops.learning.results import describe_machine, open_console, save_json, say_failure
from ops.learning.shop_events import make_progress, read_events, title_of
from sources import fingerprint

LIVE = "for_you"


@dataclass(frozen=True, slots=True)
class RecommendationOptions:
    """What was asked for; cases are the actions between the shares `first` and `last` of the file."""

    events: Path
    first: float = 0.7
    last: float = 1.0
    weights: ActionWeights | None = None
    network: Path | None = None
    idle_ms: int = 30 * 60_000
    currency: str = "EUR"
    json: Path | None = None


def run_recommendation_evaluation(options: RecommendationOptions) -> int:
    """Replay, print the tables, write the JSON; returns the exit code."""
    errors = Console(stderr=True)
    try:
        blocks = _measure(options, errors)
        plain = {**describe_machine(), **_origin(options), "blocks": [_plain(block) for block in blocks]}
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    console = open_console(FILE_WIDTH)
    for block in blocks:
        console.print(_table(block))
    return save_json(errors, options.json, plain)


def _measure(options: RecommendationOptions, errors: Console) -> list[Block]:
    if not options.first < options.last:
        raise ValueError("--first must be below --last")
    if not options.events.exists():
        raise FileNotFoundError(f"{options.events} does not exist")
    with make_progress(errors, title_of(options.events)) as progress:
        events = read_events(options.events, progress, currency=options.currency)
        actions = actions_in_time(events)
        contenders: list[Contender] = [*baselines(), Live(LIVE, idle_ms=options.idle_ms)]
        if options.network is not None:
            model = _load_network(options.network, actions[int(options.first * len(actions))][1].at_ms)
            contenders.append(Live("for_you, with the network", idle_ms=options.idle_ms, model=model))
        if options.weights is not None:
            contenders.append(Live("for_you, weighted", idle_ms=options.idle_ms, weights=options.weights))
        task = progress.add_task("replay")
        outcome = replay(
            actions,
            contenders,
            idle_ms=options.idle_ms,
            first=options.first,
            last=options.last,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if not len(outcome.kind):
        raise ValueError(f"{title_of(options.events)} has no session of two actions or more in that part")
    return measure(outcome, LIVE)


def _load_network(folder: Path, first_ms: int) -> SessionModel:
    """The model in a folder; raises `ValueError` unless it has learnt from nothing after this time."""
    from models.next_item.served import load_served

    model = load_served(folder)
    until_ms = model.card.training.get("until_ms")
    if until_ms is None or until_ms > first_ms:
        until = "an unknown time" if until_ms is None else _moment(until_ms)
        raise ValueError(
            f"the network must have learnt from events before the first case, {_moment(first_ms)}, "
            f"and has learnt until {until}: train it with --events and --held-back, or set --first"
        )
    return model


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _origin(options: RecommendationOptions) -> dict[str, Any]:
    return {
        "file": title_of(options.events),
        "fingerprint": fingerprint(options.events),
        "first": options.first,
        "last": options.last,
    }


def _table(block: Block) -> Table:
    target = "all actions" if block.kind == "all" else f"next {block.kind}"
    table = Table(
        title=f"{target}, {block.mode}: {block.n_cases:,} cases, in %",
        box=SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("")
    for header in (f"HR@{CUT}", f"MRR@{CUT}", f"{LIVE} above it, HR", f"{LIVE} above it, MRR"):
        table.add_column(header, justify="right", no_wrap=True)
    for line in block.lines:
        table.add_row(
            line.name,
            f"{100 * line.hit_rate:.1f}",
            f"{100 * line.mrr:.1f}",
            _say(line.hit_rate_over),
            _say(line.mrr_over),
        )
    return table


def _say(over: Interval | None) -> str:
    if over is None:
        return ""
    return f"{100 * over.value:+.1f} ({100 * over.low:+.1f} to {100 * over.high:+.1f})"


def _plain(block: Block) -> dict[str, Any]:
    return {**block._asdict(), "lines": [_plain_line(line._asdict()) for line in block.lines]}


def _plain_line(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value._asdict() if isinstance(value, Interval) else value for name, value in line.items()}
