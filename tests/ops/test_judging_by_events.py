"""Versions that the learner judges by events as they come: from where, each session once, after a kill."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from contracts.events import Event, encode
from contracts.settings import Settings
from item_shop import PRODUCTS, STRIDE, sessions
from models.artefacts.source import NoArtefact, VersionedSource
from models.lifecycle.pairs import sums_of
from models.lifecycle.standings import Standing, read_standing, write_standing
from models.lifecycle.state import BASE
from models.lifecycle.store import ModelStore
from models.next_item.source import ALONE
from models.recommendation.session_model import SessionModel
from ops.learning.loop import work
from ops.learning.loop.next_item import NextItemTrainer
from ops.learning.loop.work import Came, _judge

START_MS = 1_760_000_000_000
EVERY_MS = 500
PAST = sessions(300, start_ms=START_MS, every_ms=EVERY_MS)
END_MS = PAST[-1].event_time_ms
NEW = sessions(120, start_ms=END_MS + 1, every_ms=EVERY_MS, name="n", seed=4)


class Knowing:
    """Knows which product mostly comes next."""

    version = "knowing"
    ranker = None

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
        following = f"p{(int(products[-1][1:]) + STRIDE) % PRODUCTS}"
        return np.array([float(name == following) for name in candidates])


class KnowingTrainer(NextItemTrainer):
    """Its versions need no files."""

    def source(self, settings: Settings) -> VersionedSource[SessionModel]:
        del settings
        return NoArtefact(ALONE, lambda _: Knowing())


class Shop:
    """A file of events that grows, and a store."""

    def __init__(self, folder: Path) -> None:
        self._events = folder / "shop.jsonl"
        self.settings = Settings(
            learn_events=str(self._events), model_store=str(folder / "store"), idle_ms=2_000
        )
        self.folder = ModelStore(folder / "store").slot_folder(NextItemTrainer.slot)

    def has(self, events: Sequence[Event]) -> None:
        self._events.write_bytes(b"".join(encode(event) + b"\n" for event in events))

    def judge(self, other: str = "knowing") -> Standing:
        found = _judge(KnowingTrainer(), self.settings, BASE, other)
        standing = read_standing(self.folder)
        assert found["came"] == Came.JUDGED
        assert standing is not None
        assert found["counts"] == standing.counts
        return standing


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.has(PAST)
    return shop


def test_only_sessions_after_all_that_was_there_at_the_first_look_are_judged(shop: Shop) -> None:
    first = shop.judge()
    assert (first.sessions, first.after_ms, first.through_ms) == (0, END_MS, END_MS)
    assert shop.judge().sessions == 0, "nothing new has come"
    shop.has([*PAST, *NEW])
    second = shop.judge()
    ended = [event for event in NEW if event.event_id.endswith("-0")]
    assert second.sessions == sum(event.event_time_ms <= second.through_ms for event in ended) > 80
    assert (second.pair, second.tasks) == ("next_item:sessions-alone~knowing", ("rank", "miss"))
    sums = second.sums
    assert sums.mean_loss(sums.other) < sums.mean_loss(sums.champion)
    assert sums.constant_loss == pytest.approx(sums.mean_loss(sums.champion)), "it is the sessions alone"


def test_a_judge_who_is_killed_goes_on_from_what_is_written(shop: Shop) -> None:
    first = shop.judge()
    for end in (160, 300, len(NEW)):
        shop.has([*PAST, *NEW[:end]])
        before = read_standing(shop.folder)
        assert before is not None
        done = shop.judge()
        write_standing(shop.folder, before)  # as if it had been killed before it wrote
        again = shop.judge()
        assert (again.counts, again.through_ms) == (done.counts, done.through_ms)
    write_standing(shop.folder, first)
    at_once = shop.judge()
    assert (at_once.counts, at_once.through_ms) == (again.counts, again.through_ms)


def test_a_half_written_file_is_never_read(shop: Shop) -> None:
    standing = shop.judge()
    (shop.folder / ".judged.json.new").write_bytes(b'{"format": 1, "slot"')
    assert read_standing(shop.folder) == standing
    (shop.folder / ".judged.json").write_bytes(b'{"format": 1, "slot"')
    assert read_standing(shop.folder) is None
    assert shop.judge().after_ms == END_MS, "judging begins anew, and with later sessions only"
    assert ModelStore(Path(shop.settings.model_store)).versions(NextItemTrainer.slot) == []


def test_another_pair_begins_anew(shop: Shop) -> None:
    shop.judge()
    shop.has([*PAST, *NEW])
    assert shop.judge().sessions
    alone = shop.judge("")
    assert (alone.sessions, alone.other, alone.after_ms) == (0, "", NEW[-1].event_time_ms)


def test_figures_of_a_champion_alone_are_of_late(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "OF_LATE", 10)
    shop.judge("")
    shop.has([*PAST, *NEW[:300]])
    before = shop.judge("")
    assert before.sessions > 10
    assert sums_of(before.counts).difference == 0.0
    shop.has([*PAST, *NEW])
    after = shop.judge("")
    assert after.after_ms == before.through_ms
    assert 0 < after.sessions <= 120 - before.sessions, "none of those before is in it"


def test_a_time_in_the_future_holds_nothing_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "wall_clock_ms", lambda: END_MS)
    shop.has([*PAST, PAST[0]._replace(event_id="x", event_time_ms=END_MS + 365 * 86_400_000)])
    assert shop.judge().after_ms == END_MS
