"""Dead letters: counted, shown without harm, and sent again when they pass."""

import subprocess
import sys

import orjson
import pytest

from contracts.dead_letters import MAX_ORIGINAL_BYTES, DeadLetter
from contracts.events import Event, EventType, encode
from contracts.settings import Settings
from contracts.topics import Topics
from producers.rejected import StoredLetter, count_codes, read_letters, replay_letters, show_bytes
from producers.rejected_command import run_ls, run_replay, run_show
from producers.sender import KafkaSender, MemorySender, Record

NOW_MS = 1_760_000_000_000
GOOD = encode(Event("e", EventType.VIEW, NOW_MS, "u1", "p"))
TOPICS = Topics("t.")


def letter(
    offset: int, value: bytes | None = GOOD, key: bytes | None = b"u1", **fields: object
) -> DeadLetter:
    made = DeadLetter("event_time.in_future", "too early", "t.view", 2, offset, key, value, NOW_MS + offset)
    return made._replace(**fields)  # type: ignore[arg-type]


def replay(*letters: DeadLetter, **options: bool) -> tuple[list[Record], dict[str, object]]:
    sender = MemorySender(Settings(topic_prefix="t."))
    kept = [StoredLetter(each, 0, i) for i, each in enumerate(letters)]
    outcome = replay_letters(kept, sender, TOPICS, default_currency="EUR", now_ms=lambda: NOW_MS, **options)
    return sender.records, {name: getattr(outcome, name) for name in outcome.__slots__}


def test_what_passes_by_now_is_sent_with_its_original_key_and_bytes() -> None:
    records, outcome = replay(letter(1), letter(2, value=b"{"), letter(3, key=b"other"))
    assert records == [Record("t.view", None, b"u1", GOOD)]
    assert outcome == {
        "passed": 1,
        "forced": 0,
        "failing": {"event.not_json": 1, "key.not_user_id": 1},
        "not_resendable": 0,
    }


def test_a_dry_run_counts_and_sends_nothing() -> None:
    records, outcome = replay(letter(1), letter(2, value=b"{"), dry_run=True)
    assert records == []
    assert (outcome["passed"], outcome["failing"]) == (1, {"event.not_json": 1})


def test_force_sends_what_still_fails_too() -> None:
    records, outcome = replay(letter(1), letter(2, value=b"{", key=None), force=True)
    assert records[1] == Record("t.view", 2, None, b"{")
    assert (outcome["passed"], outcome["forced"]) == (1, 1)


@pytest.mark.parametrize(
    "each",
    [
        letter(1, topic="events.csv"),
        letter(1, value=None),
        letter(1, value=b"x" * MAX_ORIGINAL_BYTES),
        letter(1, topic="t.rejected"),
    ],
    ids=["row of a file", "no value", "cut", "the topic of letters"],
)
def test_what_has_no_original_to_send_is_left_alone(each: DeadLetter) -> None:
    records, outcome = replay(each, force=True)
    assert records == []
    assert outcome["not_resendable"] == 1


def test_letters_are_counted_by_code_with_the_latest() -> None:
    letters = [letter(1), letter(3), letter(2), letter(9, code="event.not_json")]
    counts = count_codes(StoredLetter(each, 0, i) for i, each in enumerate(letters))
    assert [(count.code, count.count) for count in counts] == [
        ("event_time.in_future", 3),
        ("event.not_json", 1),
    ]
    assert counts[0].latest == letter(3)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain", "plain"),
        ("ü 訪".encode(), "ü 訪"),
        (b"\x1b[2J\x07", r"\x1b[2J\x07"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("\u202eevil\u2028".encode(), r"\u202eevil\u2028"),
        (b"a\r\nb", r"a\r\nb"),
        (None, "(none)"),
    ],
)
def test_bytes_are_shown_without_harm(raw: bytes | None, shown: str) -> None:
    assert show_bytes(raw) == shown


@pytest.fixture
def shop_with_letters(installation: Settings) -> Settings:
    """An installation whose topic of dead letters holds three, one of them twice, and bytes that are none."""
    topics = Topics(installation.topic_prefix)
    sender = KafkaSender(installation)
    first = letter(1, topic=topics.of(EventType.VIEW))
    for each in (first, first, letter(2, value=b"\x1b[2J", code="event.not_json"), letter(3, topic="a.csv")):
        sender.reject(each)
    sender.send_raw(Record(topics.rejected, None, b"k", b"not a letter"))
    sender.close()
    return installation


def test_letters_are_read_from_kafka_each_once(shop_with_letters: Settings) -> None:
    found = [kept.letter.offset for kept in read_letters(shop_with_letters)]
    assert sorted(found) == [1, 2, 3]


def test_the_commands_list_show_and_replay(
    shop_with_letters: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_ls(shop_with_letters, code=None, limit=10, as_json=True) == 0
    listed = orjson.loads(capsys.readouterr().out)
    assert [(each["code"], each["count"]) for each in listed] == [
        ("event_time.in_future", 2),
        ("event.not_json", 1),
    ]

    assert run_ls(shop_with_letters, code=None, limit=10, as_json=False) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("2  event_time.in_future  latest ")
    assert {listed[0]["latest_id"], listed[1]["latest_id"]} <= {line.split("  ")[-1] for line in shown}

    assert run_ls(shop_with_letters, code="event.not_json", limit=10, as_json=False) == 0
    one_code = capsys.readouterr().out
    assert one_code.startswith(f"{listed[1]['latest_id']}  ")
    assert "\x1b[2J" not in one_code
    assert r"value    \x1b[2J" in one_code

    assert run_show(shop_with_letters, listed[1]["latest_id"], as_json=False) == 0
    assert r"\x1b[2J" in capsys.readouterr().out
    assert run_show(shop_with_letters, "view-0-99", as_json=False) == 1
    assert "no dead letter view-0-99" in capsys.readouterr().err

    assert run_replay(shop_with_letters, code=None, dry_run=False, force=False, as_json=True) == 0
    assert orjson.loads(capsys.readouterr().out) == {
        "dry_run": False,
        "passed": 1,
        "forced": 0,
        "failing": {},
        "not_resendable": 2,
    }


def test_an_empty_list_says_so_and_what_would_be_in_it(
    installation: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_ls(installation, code=None, limit=10, as_json=False) == 0
    assert capsys.readouterr().out.startswith("none. Rejected Kafka records")
    assert run_ls(installation, code="x.y", limit=10, as_json=False) == 0
    assert capsys.readouterr().out.startswith("none with the code x.y. ")
    assert run_ls(installation, code=None, limit=10, as_json=True) == 0
    assert capsys.readouterr().out == "[]\n"


def test_without_kafka_the_commands_say_so() -> None:
    code = (
        "from contracts.settings import Settings\n"
        "from producers import rejected, rejected_command\n"
        "rejected.BOOTSTRAP_TIMEOUT_MS = 200\n"
        "settings = Settings(bootstrap='127.0.0.1:1')\n"
        "raise SystemExit(rejected_command.run_ls(settings, code=None, limit=1, as_json=False))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "no Kafka answers at 127.0.0.1:1" in done.stderr
