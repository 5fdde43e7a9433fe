"""Dead letters: listing, showing, and sending again what passes the contract by now."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from connections.kafka import kafka_python_arguments
from connections.kafka_check import require_kafka_now
from connections.troubles import ConnectionRefused
from contracts.clock import wall_clock_ms
from contracts.dead_letters import MAX_ORIGINAL_BYTES, DeadLetter, decode_dead_letter
from contracts.events import InvalidEvent, decode
from contracts.product_records import check_product_key, decode_product
from contracts.record_keys import id_in_key
from contracts.settings import Settings
from contracts.topics import Topics
from producers.sender import Record, Sender, SendFailed

BOOTSTRAP_TIMEOUT_MS = 15_000
_POLL_MS = 500


class StoredLetter(NamedTuple):
    """A dead letter and where it lies in the topic of dead letters."""

    letter: DeadLetter
    partition: int
    offset: int


def read_letters(
    settings: Settings, timeout_s: float = 30.0, *, newest: int | None = None
) -> Iterator[StoredLetter]:
    """The dead letters there are now, copies of one letter once; bytes that are no letter are skipped.

    All of them, or only about the `newest`. Reads without a consumer group, so it leaves no trace. Raises
    `SendFailed` if Kafka does not answer.
    """
    topic = Topics(settings.topic_prefix).rejected
    try:
        require_kafka_now(settings)
        consumer = KafkaConsumer(
            **kafka_python_arguments(settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
    except ConnectionRefused as exc:
        raise SendFailed(str(exc)) from exc
    except KafkaError as exc:
        raise SendFailed(f"no Kafka answers at {settings.bootstrap}: {exc!r}") from exc
    try:
        yield from _distinct(_poll(consumer, topic, timeout_s, newest))
    except KafkaError as exc:
        raise SendFailed(f"reading {topic}: {exc!r}") from exc
    finally:
        consumer.close()


def _poll(
    consumer: KafkaConsumer, topic: str, timeout_s: float, newest: int | None
) -> Iterator[StoredLetter]:
    places = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    if not places:
        return
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    if newest is not None:
        for place in places:
            consumer.seek(place, max(consumer.position(place), ends[place] - newest))
    deadline_s = time.monotonic() + timeout_s
    while any(consumer.position(place) < ends[place] for place in places):
        found = consumer.poll(timeout_ms=_POLL_MS)
        if found:
            deadline_s = time.monotonic() + timeout_s
        elif time.monotonic() > deadline_s:
            raise SendFailed(f"reading {topic}: nothing came for {timeout_s:g} s")
        for place, records in found.items():
            for record in records:
                if record.offset < ends[place]:
                    yield from _kept(record.value, place.partition, record.offset)


def _kept(raw: bytes | None, partition: int, offset: int) -> Iterator[StoredLetter]:
    try:
        yield StoredLetter(decode_dead_letter(raw or b""), partition, offset)
    except ValueError:
        return


def _distinct(letters: Iterable[StoredLetter]) -> Iterator[StoredLetter]:
    seen: set[tuple[str, str]] = set()
    for kept in letters:
        # A file replayed again after it was corrected has other rows under the same number.
        identity = (kept.letter.letter_id, kept.letter.code)
        if identity not in seen:
            seen.add(identity)
            yield kept


@dataclass(slots=True)
class CodeCount:
    """Letters of one code."""

    code: str
    count: int = 0
    latest: DeadLetter | None = None
    senders: Counter[str] = field(default_factory=Counter)
    """Letters of what came over HTTP, by who sent it."""

    def add(self, letter: DeadLetter) -> None:
        """Count a letter."""
        self.count += 1
        if letter.sender is not None:
            self.senders[letter.sender] += 1
        if self.latest is None or letter.rejected_ms >= self.latest.rejected_ms:
            self.latest = letter


def count_codes(letters: Iterable[StoredLetter]) -> list[CodeCount]:
    """Counts by code, the most frequent first."""
    counts: dict[str, CodeCount] = {}
    for kept in letters:
        counts.setdefault(kept.letter.code, CodeCount(kept.letter.code)).add(kept.letter)
    return sorted(counts.values(), key=lambda count: (-count.count, count.code))


@dataclass(slots=True)
class ReplayedLetters:
    """What became of the letters that were tried again; `failing` counts by code of today."""

    passed: int = 0
    forced: int = 0
    failing: dict[str, int] = field(default_factory=dict)
    not_resendable: int = 0
    """Rows of files, letters of HTTP or without a value, originals that were cut: nothing to send again."""


def replay_letters(
    letters: Iterable[StoredLetter],
    sender: Sender,
    topics: Topics,
    *,
    default_currency: str,
    dry_run: bool = False,
    force: bool = False,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> ReplayedLetters:
    """Send the original bytes to their topic again where they pass the contract, or all with `force`."""
    outcome = ReplayedLetters()
    for kept in letters:
        letter = kept.letter
        if not _is_resendable(letter, topics):
            outcome.not_resendable += 1
            continue
        passes = _passes(letter, topics, now_ms(), default_currency, outcome.failing)
        if not passes and not force:
            continue
        if passes:
            outcome.passed += 1
        else:
            outcome.forced += 1
        if not dry_run:
            sender.send_raw(Record(letter.topic, _partition(letter), letter.key, letter.value))
    if not dry_run:
        sender.flush()
    return outcome


def _is_resendable(letter: DeadLetter, topics: Topics) -> bool:
    uncut = letter.value is not None and len(letter.value) < MAX_ORIGINAL_BYTES
    return uncut and letter.topic in (*topics.events, topics.products)


def _passes(
    letter: DeadLetter, topics: Topics, now_ms: int, default_currency: str, failing: dict[str, int]
) -> bool:
    try:
        if letter.topic == topics.products:
            update = decode_product(
                letter.value or b"", received_ms=now_ms, default_currency=default_currency
            )
            check_product_key(letter.key, update)
        else:
            event = decode(letter.value, received_ms=now_ms, default_currency=default_currency)
            id_in_key(letter.key, event)
    except InvalidEvent as exc:
        failing[exc.code] = failing.get(exc.code, 0) + 1
        return False
    return True


def _partition(letter: DeadLetter) -> int | None:
    """A record without a key goes back to its partition; one with a key finds it by the key."""
    return letter.partition if letter.key is None else None


def show_bytes(raw: bytes | None) -> str:
    """Bytes as text that cannot do anything to a terminal: what is not printable is escaped."""
    if raw is None:
        return "(none)"
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def when(at_ms: int) -> str:
    """A time of rejection for people."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
