"""The doctor's look at the newest dead letters: what is rejected, and what its senders should change."""

from collections.abc import Iterable, Sequence

from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from ops.diagnosis.checks import Check, Level
from ops.diagnosis.remedies import REMEDIES
from producers.rejected import CodeCount, StoredLetter, count_codes, read_letters, show_bytes
from producers.sender import SendFailed

NEWEST = 1_000
TIMEOUT_S = 5.0
RECENT_MS = 86_400_000
MOST_CODES = 3

OTHERWISE = (
    "`storepulse rejected ls` lists them, `storepulse rejected show ID` shows one; the rules are in "
    "docs/events.md"
)


def check_rejected(settings: Settings) -> Check:
    """What was rejected in the last day, as far as the newest letters tell."""
    try:
        letters = list(read_letters(settings, TIMEOUT_S, newest=NEWEST))
    except SendFailed as exc:
        return Check("rejected events", Level.WARN, f"not known: {exc}", "look into Kafka's log")
    return judge_rejected(letters, now_ms=wall_clock_ms())


def judge_rejected(letters: Iterable[StoredLetter], *, now_ms: int) -> Check:
    """The most frequent codes of the letters of the last day, and what to do about each of them."""
    counts = count_codes(kept for kept in letters if kept.letter.rejected_ms > now_ms - RECENT_MS)
    if not counts:
        return Check("rejected events", Level.OK, "none in the last 24 h")
    shown = counts[:MOST_CODES]
    found = ", ".join(f"{count.count:,} {count.code}{_senders(count)}" for count in shown)
    more = f" and {len(counts) - len(shown)} other codes" if len(counts) > len(shown) else ""
    return Check(
        "rejected events",
        Level.WARN,
        f"{found}{more} among the newest {NEWEST:,} of the last 24 h",
        _advice(shown),
    )


def _advice(counts: Sequence[CodeCount]) -> str:
    """A line per code: the remedy, or where there is none what the newest letter says."""
    said = {count.code: REMEDIES.get(count.code) or _detail(count) for count in counts}
    lines = [f"{code}: {text}" for code, text in said.items() if text]
    if any(count.code not in REMEDIES for count in counts):
        lines.append(OTHERWISE)
    return "\n-> ".join(lines)


def _detail(count: CodeCount) -> str:
    return "" if count.latest is None else show_bytes(count.latest.detail.encode("utf-8", "replace"))


def _senders(count: CodeCount) -> str:
    """Who sent most of these over HTTP; records and rows of files name nobody."""
    named = [f"{number:,} by {sender}" for sender, number in count.senders.most_common(2)]
    return f" ({', '.join(named)})" if named else ""
