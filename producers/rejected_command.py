"""`storepulse rejected ls|show|replay`: options in, exit code out."""

from itertools import islice

import orjson
import typer

from contracts.settings import Settings
from contracts.topics import Topics
from producers.exits import EXIT_ERROR
from producers.installation import check_partitions
from producers.rejected import (
    CodeCount,
    ReplayedLetters,
    StoredLetter,
    count_codes,
    read_letters,
    replay_letters,
    show_bytes,
    when,
)
from producers.sender import KafkaSender, SendFailed

_WHERE_ELSE = (
    "Rejected Kafka records, rows of files and events sent over HTTP are listed; of the latter, the first 20 "
    "per code, minute and process. The API's metric storepulse_api_events_total counts all of them."
)

_MAX_SHOWN = 200
"""Characters of a text in a list; `show` has all of them."""


def run_ls(settings: Settings, *, code: str | None, limit: int, as_json: bool) -> int:
    """Counts by code; with a code, its newest letters. Returns the exit code."""
    try:
        letters = [kept for kept in read_letters(settings) if code in (None, kept.letter.code)]
    except SendFailed as exc:
        return _failed(exc)
    newest = sorted(letters, key=lambda kept: kept.letter.rejected_ms, reverse=True)[:limit]
    counts = count_codes(letters)
    if as_json:
        listed = (
            [_as_dict(kept) for kept in newest]
            if code
            else [_count_as_dict(count) for count in counts[:limit]]
        )
        typer.echo(orjson.dumps(listed))
    elif not letters:
        typer.echo(
            f"none{'' if code is None else f' with the code {show_bytes(code.encode())}'}. {_WHERE_ELSE}"
        )
    elif code:
        _print_letters(newest)
    else:
        _print_counts(counts[:limit])
        typer.echo(_WHERE_ELSE)
    return 0


def run_show(settings: Settings, letter_id: str, *, as_json: bool) -> int:
    """One letter with its bytes made harmless for a terminal. Returns the exit code, 1 if there is none."""
    try:
        found = list(islice((k for k in read_letters(settings) if k.letter.letter_id == letter_id), 1))
    except SendFailed as exc:
        return _failed(exc)
    if not found:
        typer.echo(
            f"there is no dead letter {show_bytes(letter_id.encode())}; list them with `storepulse "
            "rejected ls`",
            err=True,
        )
        return EXIT_ERROR
    if as_json:
        typer.echo(orjson.dumps(_as_dict(found[0])))
        return 0
    for name, value in _as_dict(found[0]).items():
        typer.echo(f"{name:>11}  {value}")
    return 0


def run_replay(settings: Settings, *, code: str | None, dry_run: bool, force: bool, as_json: bool) -> int:
    """Send letters again that pass the contract by now. Returns the exit code."""
    topics = Topics(settings.topic_prefix)
    sender = None
    try:
        check_partitions(settings)
        sender = KafkaSender(settings)
        # All letters are read before the first is sent: what fails again must not be met twice.
        letters = [kept for kept in read_letters(settings) if code in (None, kept.letter.code)]
        outcome = replay_letters(
            letters, sender, topics, default_currency=settings.currency, dry_run=dry_run, force=force
        )
    except SendFailed as exc:
        return _failed(exc)
    finally:
        if sender is not None:
            sender.close()
    if as_json:
        typer.echo(orjson.dumps({"dry_run": dry_run, **_outcome_as_dict(outcome)}))
    else:
        _print_outcome(outcome, dry_run)
    return 0


def _print_outcome(outcome: ReplayedLetters, dry_run: bool) -> None:
    sent = "would be sent" if dry_run else "sent again"
    typer.echo(f"{outcome.passed:,} pass the contract and {'were ' if not dry_run else ''}{sent}")
    if outcome.forced:
        typer.echo(f"{outcome.forced:,} do not pass and were sent anyway" + (" (dry run)" if dry_run else ""))
    for code, count in sorted(outcome.failing.items()):
        typer.echo(f"{count:,} still fail: {show_bytes(code.encode())}")
    if outcome.not_resendable:
        typer.echo(
            f"{outcome.not_resendable:,} are rows of files, came over HTTP or were cut: "
            "send them again from where they came"
        )


def _outcome_as_dict(outcome: ReplayedLetters) -> dict[str, object]:
    return {
        "passed": outcome.passed,
        "forced": outcome.forced,
        "failing": outcome.failing,
        "not_resendable": outcome.not_resendable,
    }


def _print_counts(counts: list[CodeCount]) -> None:
    for count in counts:
        if (latest := count.latest) is None:
            continue
        _print_heading(f"{count.count:,}", count.code, f"latest {when(latest.rejected_ms)}", latest.letter_id)
        senders = ", ".join(f"{sender} {number:,}" for sender, number in count.senders.most_common(3))
        _print_fields({"detail": latest.detail, "sent by": senders})


def _print_letters(letters: list[StoredLetter]) -> None:
    for kept in letters:
        letter = kept.letter
        _print_heading(letter.letter_id, when(letter.rejected_ms))
        value = "" if letter.value is None else letter.value[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
        _print_fields({"detail": letter.detail, "sent by": letter.sender or "", "value": value})


def _print_heading(*words: str) -> None:
    typer.echo("  ".join(_harmless(word) for word in words))


def _print_fields(fields: dict[str, str]) -> None:
    for name, text in fields.items():
        if text:
            typer.echo(f"    {name:<9}{_harmless(text)[:_MAX_SHOWN]}")


def _harmless(text: str) -> str:
    return show_bytes(text.encode("utf-8", "replace"))


def _as_dict(kept: StoredLetter) -> dict[str, object]:
    letter = kept.letter
    texts = {
        "letter_id": letter.letter_id,
        "code": letter.code,
        "detail": letter.detail,
        "topic": letter.topic,
        "sender": letter.sender or "",
    }
    return {name: _harmless(text) for name, text in texts.items()} | {
        "partition": letter.partition,
        "offset": letter.offset,
        "rejected": when(letter.rejected_ms),
        "key": show_bytes(letter.key),
        "value": show_bytes(letter.value),
    }


def _count_as_dict(count: CodeCount) -> dict[str, object]:
    latest = count.latest
    return {
        "code": count.code,
        "count": count.count,
        "latest": None if latest is None else when(latest.rejected_ms),
        "latest_id": None if latest is None else latest.letter_id,
        "senders": dict(count.senders),
    }


def _failed(error: SendFailed) -> int:
    typer.echo(str(error), err=True)
    return EXIT_ERROR
