"""The comparison as tables and as plain values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from models.evaluation.bootstrap import Interval
from models.next_item.evaluation.comparison import COMPARED, Score
from models.next_item.evaluation.data import Data
from models.next_item.evaluation.figures import CUTS, targets_in_prefix
from models.next_item.sessions import UNKNOWN


def make_tables(title: str, data: Data, scores: Sequence[Score], reference: Score) -> list[Table]:
    """Figures in percent, with half the width of the 95 % interval (sessions drawn again) in brackets.

    Differences from `reference` whose interval leaves out 0 are marked with a star.
    """
    return [
        _ranking_table(f"{title}\n{describe(data)}", scores, reference),
        _list_table(scores),
        *(_kind_table(figure, scores) for figure in COMPARED),
    ]


def describe(data: Data) -> str:
    """Sizes, protocol and what the data are like, in a few lines."""
    train, cases, protocol = data.train, data.cases, data.protocol
    sizes = (
        f"train {train.n_sessions:,} sessions, {len(train.items):,} events, {train.n_items:,} items; "
        f"{len(cases):,} cases of {len(set(cases.session.tolist())):,} sessions, "
        f"prefixes of {protocol.min_prefix} or more"
    )
    shares = (
        f"{100 * (cases.targets == UNKNOWN).mean():.1f} % of the targets are new (misses), "
        f"{100 * targets_in_prefix(cases):.1f} % are in the prefix, "
        f"{100 * (cases.targets == cases.items[cases.last]).mean():.1f} % are its latest item"
    )
    mode = "repeats collapsed, latest item no answer" if protocol.collapse_repeats else "repeats kept"
    if protocol.known_items_only:
        mode += f"; only known items: {data.taken_out:,} cases more have a new one, and are left out"
    return f"{sizes}\n{mode}; {shares}\nfigures in %, half the 95 % interval in brackets"


def _ranking_table(heading: str, scores: Sequence[Score], reference: Score) -> Table:
    table = _table(heading)
    for measure in ("recall", "mrr", "ndcg"):
        for cut in CUTS:
            name = "R" if measure == "recall" else measure.upper()
            if cut > 1 or measure == "recall":  # at 1 all three are the same
                table.add_column(f"{name}@{cut}", justify="right", no_wrap=True)
    for figure in COMPARED:
        table.add_column(f"{_title(figure)}\nvs {reference.name}", justify="right", no_wrap=True)
    for score in scores:
        cells = []
        for measure in ("recall", "mrr", "ndcg"):
            cells += [_figure(score, f"{measure}@{cut}") for cut in CUTS if cut > 1 or measure == "recall"]
        versus = ["" if score is reference else _interval(score.versus(reference, f)) for f in COMPARED]
        table.add_row(score.name, *cells, *versus)
    return table


def _list_table(scores: Sequence[Score]) -> Table:
    table = _table("lists of the top 20, and costs")
    for header in (
        "coverage\n%",
        "popularity\nbias",
        "novelty\nbits",
        "repeats\n%",
        "fit\nCPU s",
        "us a query\nin batches",
        "us\nalone",
    ):
        table.add_column(header, justify="right", no_wrap=True)
    for score in scores:
        lists = score.lists
        table.add_row(
            score.name,
            f"{100 * lists['coverage']:.1f}",
            f"{lists['popularity_bias']:.2f}",
            f"{lists['novelty_bits']:.1f}",
            f"{100 * lists['repeats']:.1f}",
            f"{score.fit_s:.1f}",
            f"{score.batch_us:,.0f}",
            f"{score.alone_us:,.0f}",
        )
    return table


def _kind_table(figure: str, scores: Sequence[Score]) -> Table:
    table = _table(f"{_title(figure)} by kind of case, %")
    kinds = scores[0].kinds
    for kind, figures in kinds.items():
        table.add_column(f"{kind}\n{figures['cases']:,.0f}", justify="right", no_wrap=True)
    for score in scores:
        table.add_row(score.name, *(f"{100 * score.kinds[kind][figure]:.1f}" for kind in kinds))
    return table


def to_plain(
    data: Data, scores: Sequence[Score], reference: Score, left_out: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that was measured, ready for JSON; NaN becomes None."""
    train, cases = data.train, data.cases
    return {
        "protocol": data.protocol._asdict(),
        "train": {"sessions": train.n_sessions, "events": len(train.items), "items": train.n_items},
        "cases": {
            "cases": len(cases),
            "sessions": len(set(cases.session.tolist())),
            "new_targets": int((cases.targets == UNKNOWN).sum()),
            "taken_out": data.taken_out,
            "targets_in_prefix": round(targets_in_prefix(cases), 6),
        },
        "reference": reference.name,
        "left_out": dict(left_out),
        "models": [_model(score, reference) for score in scores],
    }


def _model(score: Score, reference: Score) -> dict[str, Any]:
    return {
        "name": score.name,
        "figures": {figure: _number(value) for figure, value in score.figures.items()},
        "intervals": {figure: _bounds(score.interval(figure)) for figure in COMPARED},
        "versus_reference": {figure: _bounds(score.versus(reference, figure)) for figure in COMPARED},
        "lists": {figure: _number(value) for figure, value in score.lists.items()},
        "kinds": score.kinds,
        "fit_cpu_s": round(score.fit_s, 2),
        "us_per_query": {"batch": round(score.batch_us, 1), "alone": round(score.alone_us, 1)},
        "settings": score.settings,
    }


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    return table


def _title(figure: str) -> str:
    return figure.upper() if figure.startswith(("mrr", "ndcg")) else figure.capitalize()


def _figure(score: Score, figure: str) -> str:
    text = f"{100 * score.figures[figure]:.2f}"
    if figure not in COMPARED:
        return text
    interval = score.interval(figure)
    return f"{text} ({50 * (interval.high - interval.low):.2f})"


def _interval(interval: Interval) -> str:
    star = "*" if interval.excludes_zero else ""
    return f"{100 * interval.value:+.2f} [{100 * interval.low:+.2f}, {100 * interval.high:+.2f}]{star}"


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {name: _number(value) for name, value in interval._asdict().items()}


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
