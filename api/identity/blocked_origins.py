"""Pages that may not send events, reported to the operator: their browsers name no reason."""

import logging
import time
from collections.abc import Callable

from api.identity.origins import is_local_host, normalise_origin

MAX_REPORTED = 20
"""Origins reported in `FORGET_S`: anybody may send any."""
FORGET_S = 3_600.0

_log = logging.getLogger(__name__)


class BlockedOrigins:
    """Reports each origin once an hour: in the log, and to `listener`, which gets what the log says."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.listener: Callable[[str], None] = lambda _: None
        self._clock_s = clock_s
        self._reported: set[str] = set()
        self._since_s = clock_s()

    def report(self, origin: str, *, needs_keys: bool) -> None:
        """A page of this origin was refused. While no keys are needed, only pages of this machine count.

        Whoever opens a page of elsewhere here would else be told to let it in.
        """
        try:
            page = normalise_origin(origin)
        except ValueError:  # it could not be let in
            return
        if not needs_keys and not is_local_host(page.partition("://")[2]):
            return
        now_s = self._clock_s()
        if now_s - self._since_s >= FORGET_S:
            self._reported.clear()
            self._since_s = now_s
        if page in self._reported or len(self._reported) >= MAX_REPORTED:
            return
        self._reported.add(page)
        text = f"pages of {page} may not send events; {_remedy(page, needs_keys=needs_keys)}"
        _log.warning("%s", text)
        self.listener(text)


def _remedy(page: str, *, needs_keys: bool) -> str:
    if needs_keys:
        return f"if they are yours: storepulse keys create NAME --publishable --origin {page}"
    return f"to allow them, restart with STOREPULSE_ALLOWED_ORIGINS={page} in the environment or in .env"
