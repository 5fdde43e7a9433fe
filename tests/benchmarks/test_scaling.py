"""Two workers are set beside one, and a worker that is held back takes no more than its share."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.quota import ROOT, QuotaError, held_to, is_possible
from benchmarks.runs import judge_scaling
from benchmarks.scaling import HELD_SHARE, ScalingRow

SPIN = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"


def make_row(workers: int, share: float | None, events_per_s: float) -> ScalingRow:
    return ScalingRow(workers, share, events_per_s, 1.0, 1.0, 1.0)


def test_two_workers_are_judged_by_one_of_the_same_share() -> None:
    rows = [make_row(1, None, 100), make_row(2, None, 150), make_row(1, 0.25, 40), make_row(2, 0.25, 76)]
    free, held = judge_scaling(rows)
    assert (free.value, free.reached) == (1.5, False)
    assert (held.value, held.reached) == (1.9, True)
    assert "25%" in held.name


def test_without_control_groups_only_free_workers_are_judged() -> None:
    assert [aim.value for aim in judge_scaling([make_row(1, None, 100), make_row(2, None, 170)])] == [1.7]


@pytest.mark.skipif(not is_possible(), reason="control groups cannot be written here: root is needed")
def test_a_process_held_back_takes_its_share_and_leaves_no_group() -> None:
    before = groups()
    child = subprocess.Popen([sys.executable, "-c", SPIN])
    with held_to(HELD_SHARE, child.pid):
        watched = psutil.Process(child.pid)
        spent_s = 0.0
        while child.poll() is None:
            spent_s = max(spent_s, watched.cpu_times().user)
    assert 0 < spent_s < 0.6  # of a second that all of it would have
    assert groups() == before


def test_a_process_that_is_gone_cannot_be_held() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    before = groups()
    with pytest.raises(QuotaError, match="share of a core"), held_to(HELD_SHARE, child.pid):
        pass
    assert groups() == before


def groups() -> set[Path]:
    return set(ROOT.glob("**/storepulse-*"))
