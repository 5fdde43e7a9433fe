"""Storefronts: concurrent clients that send batches until each is answered with 202."""

import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from contracts.clock import wall_clock_ms
from contracts.events import encode
from contracts.settings import Settings
from ops.api_client.health import answers
from ops.chaos.send_log import SendLog
from ops.chaos.shoppers import Shoppers
from ops.stack.child import Child
from ops.stack.ports import LOOPBACK, pick_port
from ops.stack.record import settings_environment

BATCH = 50
RESENT = 0.05
"""Share of the batches that are sent once more after their 202, as by a client that lost the answer."""
PAUSE_S = 0.1
"""Between two tries of a batch."""
REST_S = 0.1
"""Between two batches of a client, so that there is something left to send when apis come and go."""
TIMEOUT_S = 15.0
SPREAD_MS = 300


class EventApis:
    """API processes of one installation, each on a port of its own that it keeps."""

    def __init__(self, settings: Settings, folder: Path, number: int) -> None:
        self.urls: list[str] = []
        self._children: list[Child] = []
        for n in range(1, number + 1):
            port = pick_port()
            env = settings_environment(settings.model_copy(update={"api_port": port}))
            argv = [sys.executable, "-P", "-m", "ops.cli", "api"]
            self._children.append(Child(f"api-{n}", argv, folder / f"api-{n}.log", env=env))
            self.urls.append(f"http://{LOOPBACK}:{port}")

    def open(self) -> None:
        """Start all, and wait until they answer."""
        for child in self._children:
            child.start()
        for number in range(len(self._children)):
            self._await_answer(number)

    def kill_and_restart(self, number: int) -> None:
        """SIGKILL one that answers, and start it again; clients have the others until it answers."""
        self._await_answer(number)
        self._children[number].kill()
        self._children[number].start()

    def close(self) -> None:
        """End all at once."""
        for child in self._children:
            if child.alive:
                child.kill()

    def _await_answer(self, number: int) -> None:
        self._children[number].await_ready(lambda: answers(f"{self.urls[number]}/livez"), 60)


class Storefronts:
    """`clients` threads that send `events` events in all, in batches, to any of the `urls`.

    A batch whose fate is unknown (no answer, 503) is sent again with the same event ids, to another API.
    """

    def __init__(self, urls: list[str], *, events: int, clients: int, seed: int) -> None:
        self.acknowledged = SendLog()
        """Every event that was answered with 202, once."""
        self.answers: Counter[str] = Counter()
        """Answers by status, and what stood for one."""
        self.n_acknowledged = 0
        self.resent = 0
        self.troubles: list[str] = []
        self._urls = urls
        self._left = events
        self._draw = random.Random(seed)
        self._shoppers = Shoppers(seed)
        self._lock = threading.Lock()
        self._halted = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(n,), name=f"client-{n}", daemon=True)
            for n in range(clients)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until everything is acknowledged; raises `RuntimeError` if it is not in time."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.troubles or any(thread.is_alive() for thread in self._threads):
            raise RuntimeError(f"{self._left} events not sent, answers {self.answers}, {self.troubles[:3]}")

    def halt(self) -> None:
        """Stop sending."""
        self._halted.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, number: int) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            while not self._halted.is_set():
                with self._lock:
                    size = min(BATCH, self._left)
                    self._left -= size
                    now_ms = wall_clock_ms()
                    events = [self._shoppers.next_event(now_ms, spread_ms=SPREAD_MS) for _ in range(size)]
                    again = self._draw.random() < RESENT
                if not events:
                    return
                body = b"[" + b",".join(encode(event) for event in events) + b"]"
                for _ in range(1 + again):
                    self._send(client, body, number, size)
                with self._lock:
                    for event in events:
                        self.acknowledged.add(event)
                    self.n_acknowledged += size
                    self.resent += size * again
                self._halted.wait(REST_S)

    def _send(self, client: httpx.Client, body: bytes, number: int, size: int) -> None:
        attempt = number
        while not self._halted.is_set():
            url = self._urls[attempt % len(self._urls)]
            attempt += 1
            try:
                answer = client.post(
                    f"{url}/v1/events", content=body, headers={"Content-Type": "application/json"}
                )
            except httpx.TransportError as exc:
                self._count(type(exc).__name__)
            else:
                self._count(str(answer.status_code))
                if answer.status_code == 202:
                    if answer.json()["accepted"] != size:
                        self.troubles.append(answer.text)
                    return
                if answer.status_code not in (429, 503):
                    self.troubles.append(f"{answer.status_code}: {answer.text}")
                    return
            self._halted.wait(PAUSE_S)

    def _count(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1
