"""The embedded broker: librdkafka's in-process Kafka, in memory only, as a child process.

It needs no Java. It forgets everything at its end, keeps about 100,000 records or 5 MB of each partition,
makes any topic that is asked for, with 4 partitions, and its group coordinator serves one worker.
`python -m ops.stack.embedded_broker FILE` writes `HOST:PORT` to FILE and serves until it is told to end.
"""

import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ops.stack.child import Child

PARTITIONS = 4
"""Of every topic; the library offers no setting for it."""

KAFKA_API = "2.3"
"""Protocol version kafka-python must be told (`Settings.kafka_api`): it cannot read this broker's answer to
newer version requests."""


@dataclass
class EmbeddedBroker:
    """One embedded broker. There is no restart: a new one is empty and has another port."""

    folder: Path
    child: Child = field(init=False)

    def __post_init__(self) -> None:
        argv = [sys.executable, "-P", "-m", "ops.stack.embedded_broker", str(self._address_file)]
        self.child = Child("broker", argv, self.folder / "broker.log")

    @property
    def bootstrap(self) -> str:
        """`HOST:PORT` for clients, once it has started."""
        return self._address_file.read_text().strip()

    def start(self, timeout_s: float = 20.0) -> None:
        """Start and wait for its address; raises `StartError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._address_file.unlink(missing_ok=True)
        self.child.start()
        self.child.await_ready(self._address_file.exists, timeout_s)

    def stop(self, timeout_s: float = 5.0) -> int:
        """End it, and all its records; the exit code."""
        return self.child.stop(timeout_s)

    @property
    def _address_file(self) -> Path:
        return self.folder / "broker.address"


def serve(address_file: Path) -> None:
    """Run a broker in this process until SIGTERM or SIGINT."""
    from confluent_kafka import Producer

    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    # The broker lives as long as this producer, which is never used to send.
    host = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 3})
    broker = next(iter(host.list_topics(timeout=10).brokers.values()))
    scratch = address_file.with_suffix(f".{os.getpid()}")
    scratch.write_text(f"{broker.host}:{broker.port}\n")
    scratch.rename(address_file)
    ended.wait()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
