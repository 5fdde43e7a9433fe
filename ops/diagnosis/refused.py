"""The doctor's look at the newest dead letters: what is refused, and what its senders should change."""

from collections.abc import Iterable

from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from ops.diagnosis.checks import Check, Level
from ops.diagnosis.remedies import REMEDIES
from producers.rejected import CodeCount, StoredLetter, count_codes, read_letters
from producers.sender import SendFailed

NEWEST = 1_000
TIMEOUT_S = 5.0
RECENT_MS = 86_400_000

OTHERWISE = "`storepulse rejected ls` lists codes, `rejected show ID` one letter; the rules: docs/events.md"


def check_refused(settings: Settings) -> Check:
    """What was refused in the last day, as far as the newest letters tell."""
    try:
        letters = list(read_letters(settings, TIMEOUT_S, newest=NEWEST))
    except SendFailed as exc:
        return Check("refused events", Level.WARN, f"not known: {exc}", "look into Kafka's log")
    return judge_refused(letters, now_ms=wall_clock_ms())


def judge_refused(letters: Iterable[StoredLetter], *, now_ms: int) -> Check:
    """The most frequent codes of the letters of the last day, and the remedy for the first of them."""
    counts = count_codes(kept for kept in letters if kept.letter.rejected_ms > now_ms - RECENT_MS)
    if not counts:
        return Check("refused events", Level.OK, "none in the last 24 h")
    found = ", ".join(f"{count.count:,} {count.code}{_senders(count)}" for count in counts[:3])
    more = f" and {len(counts) - 3} other codes" if len(counts) > 3 else ""
    return Check(
        "refused events",
        Level.WARN,
        f"{found}{more} among the newest {NEWEST:,} of the last 24 h",
        REMEDIES.get(counts[0].code, OTHERWISE),
    )


def _senders(count: CodeCount) -> str:
    """The libraries of other systems that sent most of these; records and rows of files have none."""
    named = [f"{number:,} by {source}" for source, number in count.sources.most_common(2)]
    return f" ({', '.join(named)})" if named else ""
