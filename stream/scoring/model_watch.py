"""The model watch: loads the model the scorer asks, and takes up new versions while the worker runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from models.next_action.model import Model
from stream.runtime.metrics import Meter
from stream.scoring.scorer import Scorer

log = logging.getLogger(__name__)

LOOK_S = 2.0

Stamp = tuple[tuple[str, int, int], ...]
"""Names, sizes and times of change (ns) of the files in a folder."""


class ModelWatch:
    """Looks at the folder of a model. A version that does not pass its checks is refused, the old one stays.

    `load` reads a folder and raises for an artefact that must not be used; it runs in a thread.
    """

    def __init__(self, folder: Path, load: Callable[[Path], Model], scorer: Scorer, meter: Meter) -> None:
        self._folder = folder
        self._load = load
        self._scorer = scorer
        self._meter = meter
        self._seen: Stamp | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Load what lies in the folder if it changed since the last look."""
        stamp = await asyncio.to_thread(_stamp, self._folder)
        if stamp == self._seen:
            return
        if self._seen is not None:
            await asyncio.sleep(LOOK_S / 4)  # whoever is copying files may not be done
            if await asyncio.to_thread(_stamp, self._folder) != stamp:
                return
        self._seen = stamp
        try:
            model = await asyncio.to_thread(self._load, self._folder)
        except Exception as exc:  # whatever lies in the folder, events go on being counted
            self._scorer.refused = str(exc) if isinstance(exc, ValueError) else repr(exc)
            self._meter.models_refused.inc()
            log.error("the model in %s is refused: %s", self._folder, exc)
            return
        self._scorer.take_up(model)
        log.info("visitors are scored by model %s", model.version)


def _stamp(folder: Path) -> Stamp:
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    except OSError:  # no such folder, or a file that is being replaced
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)
