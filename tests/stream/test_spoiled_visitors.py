"""Whatever a spoiled state leads a step to, it is one that the check of all of it refuses."""

import random

import pytest

from contracts.blob_formats import LaterFormat
from contracts.events import Event, EventType
from contracts.settings import Settings
from contracts.visitor import Visitor, digest_of, pack_visitor, unpack_visitor
from contracts.visitor_check import check_visitor
from golden_files import golden_visitors
from shoppers import NOW_MS
from stream.batch.core import Core
from stream.batch.entries import Clock, Entry
from stream.batch.step import StepSettings, fire_deadlines

SETTINGS = StepSettings.of(Settings(_env_file=None))
FLIPS = 3_000
LATER_MS = NOW_MS + 900_000


def entry(n: int, kind: EventType, at_ms: int, customer_id: str | None = "c") -> Entry:
    event = Event(
        f"e{n}-{at_ms}", kind, at_ms, "u", f"p{n % 4}", "s", 1_999, "EUR", 1, "shoes", "Acme", f"o{n // 5}",
        None, customer_id,
    )  # fmt: skip
    return Entry(n, at_ms, LATER_MS, event, None)


def busy_visitor(core: Core) -> Visitor:
    kinds = [kind for kind in EventType if kind is not EventType.REFUND]
    entries = [entry(n, kinds[n % len(kinds)], NOW_MS + n * 1_000) for n in range(20)]
    entries.append(entry(20, EventType.REFUND, NOW_MS + 20_000))
    return core.apply_batch(Clock(0, 0), entries, {"u": None}, SETTINGS).visitors["u"]


def step(core: Core, visitor: Visitor) -> None:
    """Events after, before and between those that are known, a refund, and the end of the session."""
    clock = Clock(LATER_MS, LATER_MS)
    entries = [
        entry(30, EventType.PURCHASE, LATER_MS),
        entry(31, EventType.CART, NOW_MS + 5_500),
        entry(3, EventType.REFUND, NOW_MS + 5_600),
        entry(32, EventType.VIEW, NOW_MS - 5_600, customer_id=""),
    ]
    after = core.apply_batch(clock, entries, {"u": visitor}, SETTINGS).visitors["u"]
    fired = fire_deadlines(clock, 2 * LATER_MS - NOW_MS, ["u"], {"u": visitor}, SETTINGS)
    core.pack_visitors([after, *fired.visitors.values()])


def spoiled(seed: int, blobs: list[bytes]) -> Visitor | None:
    """The visitor in a blob with one bit flipped; None if reading it refuses that already."""
    draw = random.Random(seed)
    blob = bytearray(draw.choice(blobs))
    blob[draw.randrange(len(blob))] ^= 1 << draw.randrange(8)
    try:
        return unpack_visitor(bytes(blob))
    except Exception:
        return None


def is_sound(visitor: Visitor) -> bool:
    try:
        check_visitor(visitor)
    except Exception:
        return False
    return True


def test_what_every_version_wrote_is_sound(core: Core) -> None:
    check_visitor(busy_visitor(core))
    for golden in golden_visitors():
        check_visitor(unpack_visitor(golden.blob))


def test_no_step_fails_at_a_state_that_the_check_lets_pass(core: Core) -> None:
    blobs = [pack_visitor(busy_visitor(core))]
    found = [spoiled(seed, blobs) for seed in range(FLIPS)]
    readable = [visitor for visitor in found if visitor is not None]
    sound = [visitor for visitor in readable if is_sound(visitor)]
    for visitor in sound:
        step(core, visitor)
    assert 0 < len(sound) < len(readable) < FLIPS


def test_the_check_refuses_states_at_which_steps_fail(core: Core) -> None:
    visitor = busy_visitor(core)
    cut = visitor._replace(tail=visitor.tail._replace(packed=visitor.tail.packed[:-1]))
    with pytest.raises(Exception, match="incomplete input"):
        step(core, cut)
    assert not is_sound(cut)
    assert not is_sound(visitor._replace(seen=digest_of("x")[:-1]))
    assert not is_sound(visitor._replace(totals=visitor.totals._replace(revenue_minor={"EUS": 1})))
    assert not is_sound(visitor._replace(extra={"login": ("c", "yesterday", 0, (), ())}))


def test_a_later_format_is_not_spoiled() -> None:
    with pytest.raises(LaterFormat):
        unpack_visitor(b"\x9a\x7f" + golden_visitors()[0].blob[2:])
