"""Where the demo shows its frames: a picture in a terminal, a line a second anywhere else."""

from collections import deque

from rich.console import Console
from rich.live import Live

from ops.demo.view import DemoView, Frame, phase_of, plain_line
from ops.stack.part_warnings import PartWarning

WARNINGS_SHOWN = 3
STEADY_FRAMES = 3
"""So many in a row are live before that is said: history comes in bursts, between which none may wait."""
READY = "live: history has been replayed, and what you send is counted at once"


class DemoScreen:
    """Takes frames and warnings; the picture has the newest of these, other outputs each as it comes."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._view = DemoView(unicode=console.encoding.lower().startswith("utf"))
        self._warnings: deque[str] = deque(maxlen=WARNINGS_SHOWN)
        self._n_live = 0
        self._is_ready = False

    def warn(self, warning: PartWarning) -> None:
        """Takes what a part warns of."""
        self._warnings.append(f"{warning.part}: {warning.message}")
        if not self._console.is_terminal:
            self._say(self._warnings[-1])

    def show(self, frame: Frame) -> None:
        """Draws the next frame."""
        self._view.add(frame)
        if self._console.is_terminal:
            picture = self._view.render(frame, self._console.width, self._warnings)
            self._live.update(picture, refresh=True)
            return
        self._say(plain_line(frame))
        self._n_live = self._n_live + 1 if phase_of(frame.live).is_live else 0
        if self._n_live == STEADY_FRAMES and not self._is_ready:
            self._is_ready = True
            self._say(READY)

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
