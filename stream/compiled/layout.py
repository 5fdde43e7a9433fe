"""The layout of the named tuples that the compiled steps reach into, and what a module is built from.

The compiled steps take items of named tuples by position, unchecked. The positions are read from the sources
when the steps are built (setup.py; nothing can be imported there) and from the classes when they are loaded
(`stream.compiled.guard`): a module built from anything else than what is imported now has another digest.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

MODULES = (
    "packing", "records", "merge", "new_events", "carts", "orders", "states", "judging", "alerts", "visitors",
    "batch", "scores", "encoding", "reports", "customers",
    "items", "rates", "sessions",
)  # fmt: skip
"""The compiled modules; each cimports only from those before it."""
TUPLES: dict[str, tuple[str, ...]] = {
    "contracts.customers": ("Customer", "CustomerOrder", "CustomerOrderLine"),
    "contracts.events": ("Event",),
    "contracts.order_reports": ("LineReport", "OrderReport"),
    "contracts.visitor": ("Action", "CartLine", "Session", "Totals", "Tail", "Visitor"),
    "contracts.visitor_alerts": ("VisitorAlerts", "KindState"),
    "contracts.predictions": ("Predictions",),
    "contracts.scores": ("Score", "Pending", "Unjudged"),
    "models.next_action.item_counts": ("ItemCounts",),
    "models.next_action.prices": ("PriceLevel",),
    "models.next_action.rates": ("Funnel",),
    "stream.batch.entries": ("Entry", "CountedLine"),
    "stream.components.items": ("PartitionItems",),
    "stream.scoring.item_pool": ("PooledItems",),
}
"""The named tuples by module."""
RANKS = ("contracts.events", "EventType")
"""The enumeration whose members have a `rank`."""
NO_ACTIONS = ("REFUND",)
"""Members of it that are no actions: what has one of them goes the way of the definition."""
CONTRACT = (
    "contracts.carts",
    "contracts.customers",
    "contracts.event_ids",
    "contracts.event_versions",
    "contracts.events",
    "contracts.fields",
    "contracts.numbers",
    "contracts.order_fields",
    "contracts.order_lines",
    "contracts.order_reports",
    "contracts.record_keys",
    "contracts.sessions",
    "contracts.visitor",
    "contracts.visitor_alerts",
    "contracts.predictions",
    "contracts.scores",
    "models.next_action.context",
    "models.next_action.features",
    "models.next_action.fold",
    "models.next_action.rates",
)
"""Modules whose rules the compiled steps have once more. Of others they read constants, at import."""
ROOT = Path(__file__).parents[2]

Layout = Mapping[str, tuple[str, ...]]
"""Class to the names of its fields by position, or of its members by rank."""


def layout_of_sources(root: Path = ROOT) -> Layout:
    """The layout that the modules under `root` define."""
    layout = {}
    for module, names in TUPLES.items():
        for name in names:
            body = _class_body(root, module, name)
            layout[name] = tuple([_name(part.target) for part in body if isinstance(part, ast.AnnAssign)])
    module, name = RANKS
    ranks = {}
    for part in _class_body(root, module, name):
        if isinstance(part, ast.Assign):
            _, rank = ast.literal_eval(part.value)
            if (member := _name(part.targets[0])) not in NO_ACTIONS:
                ranks[rank] = member
    layout[name] = tuple([ranks[rank] for rank in range(len(ranks))])
    return layout


def layout_of_classes() -> Layout:
    """The layout of the classes as they are imported now."""
    layout = {
        name: getattr(import_module(module), name)._fields for module in TUPLES for name in TUPLES[module]
    }
    module, name = RANKS
    members = sorted(getattr(import_module(module), name), key=lambda member: member.rank)
    return layout | {name: tuple([member.name for member in members if member.name not in NO_ACTIONS])}


def digests(layout: Layout, root: Path = ROOT) -> dict[str, str]:
    """Module to the digest of everything it is built from: this layout, its sources, the contract."""
    return {module: _digest(layout, sources_of(module, root)) for module in MODULES}


def sources_of(module: str, root: Path = ROOT) -> list[Path]:
    """The files that decide what a compiled module does, the layout aside."""
    folder = root / "stream" / "compiled"
    shared = sorted((*folder.glob("*.pxd"), *folder.glob("*.h")))
    return [
        folder / f"{module}.pyx",
        folder / "layout.py",
        *shared,
        *[_path(root, name) for name in CONTRACT],
    ]


def is_built_from(extension: Path, digest: str) -> bool:
    """Whether this extension module was built with this digest; it is not executed."""
    return _marker(digest) in extension.read_bytes()


def remove_stale(layout: Layout, root: Path = ROOT) -> None:
    """Remove the extension modules in place that were built from anything else, whatever their age."""
    for module, digest in digests(layout, root).items():
        for extension in _extensions_of(module, root):
            if not is_built_from(extension, digest):
                extension.unlink()


def remove_incomplete(root: Path = ROOT) -> bool:
    """Remove the extension modules in place unless all are there, and say whether one was missing.

    A few of them are of no use.
    """
    found = {module: _extensions_of(module, root) for module in MODULES}
    if all(found.values()):
        return False
    for extensions in found.values():
        for extension in extensions:
            extension.unlink()
    return True


def _extensions_of(module: str, root: Path) -> list[Path]:
    folder = root / "stream" / "compiled"
    paths = [folder / f"{module}{suffix}" for suffix in EXTENSION_SUFFIXES]
    return [path for path in paths if path.exists()]


def render(layout: Layout, digest: str) -> str:
    """What a compiled module includes: the positions, and the digest that stays in its binary."""
    lines = ["# Written by setup.py from the named tuples, see stream/compiled/layout.py."]
    for name, fields in layout.items():
        is_rank = name == RANKS[1]
        prefix = "RANK" if is_rank else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        number = "RANKS" if is_rank else f"{prefix}_FIELDS"
        places = ", ".join(f"{prefix}_{field.upper()}" for field in fields)
        lines += ["cdef enum:", f"    {places}", f"    {number}"]
    lines += [
        "cdef extern from *:",
        '    """',
        f'    static const char storepulse_built_from[] = "{_marker(digest).decode()}";',
        '    """',
        "    const char* storepulse_built_from",
        'BUILT_FROM = storepulse_built_from.decode("ascii")',
    ]
    return "\n".join(lines) + "\n"


def _marker(digest: str) -> bytes:
    return f"storepulse built from {digest}".encode()


def _path(root: Path, module: str) -> Path:
    return root.joinpath(*module.split(".")).with_suffix(".py")


def _digest(layout: Layout, paths: Iterable[Path]) -> str:
    digest = hashlib.blake2b(repr(sorted(layout.items())).encode(), digest_size=16)
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _class_body(root: Path, module: str, name: str) -> list[ast.stmt]:
    for part in ast.parse(_path(root, module).read_bytes()).body:
        if isinstance(part, ast.ClassDef) and part.name == name:
            return part.body
    raise LookupError(f"{module} has no class {name} at its top level")


def _name(target: ast.expr) -> str:
    if not isinstance(target, ast.Name):
        raise LookupError(f"{ast.unparse(target)} is no plain name of a field")
    return target.id
