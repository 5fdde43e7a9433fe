"""`storepulse evaluate next-item`: sessions in, tables of all models of the next item out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from ops.learning.evaluation import FILE_WIDTH
from ops.learning.results import describe_machine, open_console, save_json, say_failure
from ops.learning.shop_events import make_progress, read_events, title_of
from sources import fingerprint

if TYPE_CHECKING:  # its modules need the extra [train]
    from models.next_item.evaluation.data import Data, EvaluationProtocol


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """What was asked for: `events`, or `train` and perhaps `test`. `models` empty: all of them."""

    events: Path | None = None
    train: Path | None = None
    test: Path | None = None
    held_back: float = 0.1
    min_prefix: int = 1
    collapse_repeats: bool = False
    known_items_only: bool = False
    models: tuple[str, ...] = ()
    network: Path | None = None
    reference: str = ""
    idle_ms: int = 30 * 60_000
    currency: str = "EUR"
    json: Path | None = None


def run_item_evaluation(options: ItemOptions) -> int:
    """Measure, print the tables, write the JSON; returns the exit code."""
    errors = Console(stderr=True)
    try:
        plain = _measure(options, errors)
    except (ValueError, OSError) as exc:
        return say_failure(errors, exc)
    return save_json(errors, options.json, {**describe_machine(), **plain})


def _measure(options: ItemOptions, errors: Console) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    from models.next_item.evaluation.comparison import compare
    from models.next_item.evaluation.contenders import REFERENCE, choose
    from models.next_item.evaluation.data import EvaluationProtocol
    from models.next_item.evaluation.report import make_tables, to_plain

    contenders = choose(options.models, options.reference, options.network)
    files = _files(options)
    title = " -> ".join(title_of(path) for path in files)
    with make_progress(errors, title) as progress:
        protocol = EvaluationProtocol(
            options.collapse_repeats, options.min_prefix, options.held_back, options.known_items_only
        )
        data = _read(options, protocol, progress)
        task = progress.add_task("models")

        def on_step(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total)

        # Each product is small: where other work runs too, threads of one would wait for each other.
        with threadpool_limits(1):
            scores, left_out = compare(data, contenders, progress=on_step)
    for name, reason in left_out.items():
        errors.print(f"{name} is left out: {reason}", markup=False, soft_wrap=True)
    reference = next(score for score in scores if score.name == (options.reference or REFERENCE))
    console = open_console(FILE_WIDTH)
    for table in make_tables(title, data, scores, reference):
        console.print(table)
    origin = [{"file": title_of(path), "fingerprint": fingerprint(path)} for path in files]
    return {"files": origin, **to_plain(data, scores, reference, left_out)}


def _files(options: ItemOptions) -> list[Path]:
    """The files to read; raises `ValueError` unless they are events, or train and perhaps test."""
    if (options.events is None) == (options.train is None) or (options.test and not options.train):
        raise ValueError("give either --events FILE, or --train FILE and perhaps --test FILE")
    files = [path for path in (options.events, options.train, options.test) if path is not None]
    for path in files:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
    return files


def _read(options: ItemOptions, protocol: "EvaluationProtocol", progress: Progress) -> "Data":
    from models.next_item.evaluation.data import hold_back, with_test
    from models.next_item.visits import sessions_of_events
    from ops.learning.item_files import code_sessions, read_item_file

    if options.events is not None:
        events = read_events(options.events, progress, currency=options.currency)
        return hold_back(sessions_of_events(events, idle_ms=options.idle_ms), protocol)
    paths = [path for path in (options.train, options.test) if path is not None]
    task = progress.add_task("reading", total=len(paths))
    files = []
    for path in paths:
        files.append(read_item_file(path))
        progress.advance(task)
        if files[-1].left_out:
            progress.console.print(f"{path.name}: {files[-1].left_out:,} rows are left out", markup=False)
    sessions, cases = code_sessions(*files)
    return hold_back(sessions, protocol) if cases is None else with_test(sessions, cases, protocol)
