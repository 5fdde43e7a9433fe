"""Drift: has the mean of a stream of numbers changed? ADWIN over what a worker sees."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class DriftState(NamedTuple):
    """What one stream of numbers has come to, for heartbeat and metrics.

    `mean` and `width` are of the window since the last change, `drifts` counts changes since the worker
    started and `drifted_ms` is the event time of the last one (0: none).
    """

    name: str
    mean: float
    width: int
    drifts: int
    drifted_ms: int

    def to_text(self) -> str:
        """The state in one line: name, mean, width, drifts, time; `drift_from_text` reads it."""
        return f"{self.name} {self.mean:.6g} {self.width} {self.drifts} {self.drifted_ms}"


def drift_from_text(text: str) -> DriftState:
    """The state in a line of `to_text`; raises `ValueError` if it is not one."""
    parts = text.split(" ")
    if len(parts) != 5:
        raise ValueError(f"a drift state has 5 parts, got {len(parts)}")
    return DriftState(parts[0], float(parts[1]), int(parts[2]), int(parts[3]), int(parts[4]))


WARM_UP_MS = 3_600_000
"""Numbers of the first hour (event time) are not looked at: errors of visitors who leave come half an hour
after those of visitors who act, so the mean of what has just begun always changes."""
MIN_NUMBERS = 1_000
"""With fewer there is nothing to tell a change against."""
MIN_CHANGE = 0.02
"""A smaller change of the mean can be certain, and still be of no account."""


DELTA = 0.002
"""ADWIN's: the chance that it finds a change where there is none."""


class Adwin:
    """River's ADWIN over a stream of numbers: as `river.drift.ADWIN`, after a change it begins anew.

    Its compiled part is used directly: `river.drift` imports scipy for other detectors, which costs each
    worker that scores a second and 110 MB.
    """

    def __init__(self) -> None:
        self._window = _empty_window()
        self._changed = False

    def update(self, value: float) -> bool:
        """Take a number; True if the mean has changed with it."""
        if self._changed:
            self._window = _empty_window()
        self._changed = self._window.update(value)
        return self._changed

    @property
    def width(self) -> int:
        """How many numbers the mean is of."""
        return int(self._window.get_width())

    @property
    def mean(self) -> float:
        """The mean since the last change; 0 without numbers."""
        width = self._window.get_width()
        return float(self._window.get_total() / width) if width else 0.0


def _empty_window() -> Any:
    from river._river_rust.drift import AdaptiveWindowing  # most processes watch nothing

    return AdaptiveWindowing(delta=DELTA)


class Drift:
    """ADWIN over one stream of numbers between 0 and 1; 0.3 us a number. `name` must hold no blank."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._adwin: Adwin | None = None
        """None until there is a number to look at."""
        self._since_ms: int | None = None
        self._reference: float | None = None
        self._drifts = 0
        self._drifted_ms = 0

    def learn(self, values: Iterable[float], *, at_ms: int) -> bool:
        """Take numbers that were known at event time `at_ms`; True if one of them shows a change.

        A change is told against the mean of the first `MIN_NUMBERS`, or of as many since the last one.
        """
        if self._since_ms is None:
            self._since_ms = at_ms
        if at_ms - self._since_ms < WARM_UP_MS:
            return False
        if self._adwin is None:
            self._adwin = Adwin()
        found = False
        for value in values:
            changed = self._adwin.update(value)
            if self._reference is None:
                if self._adwin.width >= MIN_NUMBERS:
                    self._reference = self._adwin.mean
            elif changed and abs(self._adwin.mean - self._reference) >= MIN_CHANGE:
                found = True
                self._reference = None
                self._drifts += 1
                self._drifted_ms = at_ms
        return found

    @property
    def state(self) -> DriftState:
        """The state now."""
        mean, width = (0.0, 0) if self._adwin is None else (self._adwin.mean, self._adwin.width)
        return DriftState(self._name, mean, width, self._drifts, self._drifted_ms)
