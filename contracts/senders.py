"""Who sent what was refused, by the sender's own account: fit for tables and labels of metrics."""

import re
from collections.abc import Iterable

CLIENT_HEADERS = ("client_id", "ce_source", "user-agent")
"""Headers of a Kafka record that may name its sender, the first one first; `ce_source` is CloudEvents'."""
MAX_CHARS = 64
OTHERS = "others"
_UNPLAIN = re.compile(r"[^\w.@/:+-]", re.ASCII)


def client_of_agent(user_agent: str) -> str | None:
    """The first product of a User-Agent, such as `python-requests/2.32.3`; None if it names none."""
    return _plain(user_agent.split(" ", 1)[0])


def client_of_record(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """What the headers of a Kafka record say of its sender; None if nothing."""
    told = {name.lower(): value for name, value in headers}
    for name in CLIENT_HEADERS:
        client = _plain((told.get(name) or b"")[: 4 * MAX_CHARS].decode("utf-8", "replace"))
        if client is not None:
            return client
    return None


class SenderLabels:
    """Names for the label of a metric: those beyond `most` are `OTHERS`, for senders choose their names."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._known: set[str] = set()

    def label_of(self, sender: str) -> str:
        """The name itself, or `OTHERS`."""
        if sender not in self._known and len(self._known) < self._most:
            self._known.add(sender)
        return sender if sender in self._known else OTHERS


def _plain(text: str) -> str | None:
    return _UNPLAIN.sub("", text)[:MAX_CHARS] or None
