"""The whole installation as child processes of one: broker, Redis, workers, API."""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from contracts.settings import Settings
from ops.stack.broker import KafkaBroker
from ops.stack.child import Child, StartError
from ops.stack.embedded_broker import KAFKA_API, PARTITIONS, EmbeddedBroker
from ops.stack.guard import GRACE_S
from ops.stack.kafka_jars import JarsError
from ops.stack.options import StackError, StackOptions
from ops.stack.ports import LOOPBACK, is_free, pick_port, preferred_port
from ops.stack.record import (
    StackRecord,
    await_leftovers,
    lock_state,
    part_record,
    remove_record,
    settings_environment,
    settings_fields,
)
from ops.stack.redis_server import RedisServer, require_redis
from ops.stack.supervision import Part, await_answer, check_part
from ops.stack.topics import TopicsError, ensure_topics

_log = logging.getLogger(__name__)

PREFERRED_API_PORT = 8000
_KAFKA, _CONTROLLER, _REDIS, _DELIVERER, _API, _ARCHIVE, _FIRST_WORKER = range(7)
"""Places in the block of ports of a stack."""


class Stack:
    """A running installation; a context manager. `check` is to be called a few times a second."""

    def __init__(self, options: StackOptions) -> None:
        options.check()
        self.options = options
        self.state = options.state.absolute()
        self.settings = Settings(**options.settings)
        if options.archive is not None or options.broker == "embedded":
            self._update(archive=_absolute(options.archive or ""))
        if "model_store" not in self.settings.model_fields_set:
            self._update(model_store=str(self.state / "models"))
        self.broker: KafkaBroker | EmbeddedBroker | None = None
        self.redis: RedisServer | None = None
        self.parts: list[Part] = []
        self.starting = False
        self._lock = self._take_folder()
        self._workers_made = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    @property
    def workers(self) -> list[Part]:
        """The parts that are workers."""
        return [part for part in self.parts if part.name.startswith("worker")]

    @property
    def api_url(self) -> str:
        """Base URL of the API."""
        return f"http://{LOOPBACK}:{self.settings.api_port}"

    def part(self, name: str) -> Part:
        """The part of this name; raises `KeyError`."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def start(self) -> None:
        """Start everything and wait until it is ready; raises `StackError`, with nothing left running."""
        if self._lock is None:
            raise StackError(f"a stack is already running in {self.state}; stop it or set another --state")
        self.starting = True
        try:
            left = await_leftovers(self.state, GRACE_S + 5)
            if left:
                raise StackError(
                    f"parts of an earlier stack are still running in {self.state}: {left}; stop them first"
                )
            self._check_ports()
            self._start_broker()
            self._start_redis()
            self._start_topics()
            for _ in range(self.options.workers):
                self.add_worker(wait=False)
            if self.options.api:
                self._start_api()
            if self.options.deliver:
                self._start_deliverer()
            if self.settings.archive:
                self._start_archive()
            if self.settings.recommendation_interval_s:
                self._start_publisher()
            if self.options.learn:
                self._start_learner()
            self.record()
            self._await_answers()
        except (StartError, JarsError, TopicsError, OSError) as exc:
            self.stop()
            raise StackError(str(exc)) from exc
        except BaseException:
            self.stop()
            raise
        finally:
            self.starting = False

    def check(self) -> None:
        """Start again what has ended; raises `PartEnded` when the stack cannot go on."""
        changed = [check_part(part, time.monotonic()) for part in self.parts]
        if any(changed):
            try:
                self.record()
            except OSError as exc:  # a full disk ends no stack
                _log.warning("cannot record the running parts: %s", exc)

    def add_worker(self, *, wait: bool = True) -> Part:
        """Start one more worker, and wait until it answers if `wait`; raises `StartError`."""
        self._workers_made += 1
        name = f"worker-{self._workers_made}"
        port = self._port(_FIRST_WORKER + self._workers_made - 1)
        part = self._add_command(
            "worker", name, f"http://{LOOPBACK}:{port}/livez", {"STOREPULSE_WORKER_PORT": str(port)}
        )
        if wait:
            await_answer(part)
            self.record()
        return part

    def remove_worker(self, part: Part) -> int:
        """Stop one worker in order and forget it; its exit code."""
        part.watched = False
        code = part.child.stop(20)
        self.parts.remove(part)
        self.record()
        return code

    def stop(self) -> None:
        """Stop everything in reverse order: first what reads, last the broker."""
        for part in self.parts:
            part.watched = False
        workers = self.workers
        for part in reversed(self.parts):
            if part in workers and part.child.alive:
                # All of them drain at the same time.
                part.child.send(signal.SIGTERM)
        for part in reversed(self.parts):
            if part.child.alive:
                part.child.stop(20)
        remove_record(self.state)
        if self._lock is not None:
            self._lock.close()

    def kill(self) -> None:
        """End everything at once."""
        for part in self.parts:
            part.watched = False
            if part.child.alive:
                part.child.kill()

    def record(self) -> None:
        """Write what runs where into the state folder."""
        parts = tuple(
            part_record(
                part.name,
                part.where,
                part.child.pid if part.child.alive else 0,
                part.log_path,
                part.restarts,
            )
            for part in self.parts
        )
        owner = part_record("stack", str(self.state), os.getpid())
        StackRecord(owner, parts, settings_fields(self.settings)).write(self.state)

    def _take_folder(self) -> TextIO | None:
        try:
            return lock_state(self.state)
        except OSError as exc:
            raise StackError(f"cannot write to {self.state}: {exc.strerror}; set another --state") from exc

    def _check_ports(self) -> None:
        """Refuses ports that somebody has: parts would say so late and at length, or use their Redis."""
        options = self.options
        for name, port in (
            ("--kafka-port", options.kafka_port),
            ("--redis-port", options.redis_port),
            ("--api-port", options.api_port),
        ):
            if port is not None and not is_free(port):
                raise StackError(f"port {port} is not free; set another {name}")

    def _start_broker(self) -> None:
        choice, folder = self.options.broker, self.state / "broker"
        if choice == "embedded":
            embedded = self.broker = EmbeddedBroker(folder)
            # A new one would be empty, so its end is the end of the stack.
            part = self._add(Part("broker", "", embedded.child, fatal=True))
            embedded.start()
            part.where = embedded.bootstrap
            fields = {
                "kafka_api": KAFKA_API,
                "partitions": PARTITIONS,
                "durable": False,
                "kafka_security": "PLAINTEXT",
            }
            self._update(bootstrap=embedded.bootstrap, **fields)
        elif choice == "kafka":
            port = self.options.kafka_port or self._port(_KAFKA)
            controller_port = self._port(_CONTROLLER)
            kafka = self.broker = KafkaBroker(self.state / "kafka", port, controller_port)
            self._add(Part("broker", kafka.bootstrap, kafka.child))
            kafka.start()
            self._update(bootstrap=kafka.bootstrap, kafka_security="PLAINTEXT")
        else:
            self._update(bootstrap=choice)

    def _start_redis(self) -> None:
        if self.options.redis == "embedded":
            durable = self.options.broker != "embedded"
            folder = self.state / ("redis" if durable else "redis-volatile")
            port = self.options.redis_port or self._port(_REDIS)
            self.redis = RedisServer(folder, port=port, durable=durable)
            self._add(Part("redis", self.redis.url, self.redis.child))
            self.redis.start()
            self._update(redis_url=self.redis.url, redis_username="", redis_password=None)
        else:
            given = self.options.redis
            self._update(redis_url=given if "://" in given else f"redis://{given}/0")
            require_redis(self.settings)

    def _start_topics(self) -> None:
        embedded = isinstance(self.broker, EmbeddedBroker)
        self._update(partitions=ensure_topics(self.settings, embedded=embedded))

    def _start_api(self) -> None:
        usual = self.settings.api_port or PREFERRED_API_PORT
        port = self.options.api_port or (usual if is_free(usual) else self._port(_API))
        self._update(api_port=port)
        self._add_command("api", "api", f"http://{LOOPBACK}:{port}/livez", {})

    def _await_answers(self) -> None:
        for part in self.parts:
            while part.where.startswith("http"):
                try:
                    await_answer(part)
                    break
                except StartError:
                    if part.name != "api" or self.options.api_port or is_free(self.settings.api_port):
                        raise
                self._move_api(part)

    def _move_api(self, part: Part) -> None:
        """Give it another port: somebody took the one picked between its choice and the bind of the API."""
        port = pick_port()
        self._update(api_port=port)
        part.where = f"http://{LOOPBACK}:{port}/livez"
        part.child.env |= settings_environment(self.settings)
        part.child.start()
        self.record()

    def _start_deliverer(self) -> None:
        port = self.settings.deliver_port or self._port(_DELIVERER)
        where = f"http://{LOOPBACK}:{port}/livez"
        self._add_command("deliver", "deliver", where, {"STOREPULSE_DELIVER_PORT": str(port)})

    def _start_archive(self) -> None:
        port = self.settings.archive_port or self._port(_ARCHIVE)
        where = f"http://{LOOPBACK}:{port}/livez"
        self._add_command("archive", "archive", where, {"STOREPULSE_ARCHIVE_PORT": str(port)})

    def _start_publisher(self) -> None:
        port = self.settings.publish_port or pick_port()
        where = f"http://{LOOPBACK}:{port}/livez"
        self._add_command("publish", "publish", where, {"STOREPULSE_PUBLISH_PORT": str(port)})

    def _start_learner(self) -> None:
        if not (self.settings.learn_events or self.settings.archive):
            raise StackError("--learn needs past events: give --archive, or set STOREPULSE_LEARN_EVENTS")
        port = self.settings.learn_port or pick_port()
        where = f"http://{LOOPBACK}:{port}/livez"
        self._add_command("learn", "learn", where, {"STOREPULSE_LEARN_PORT": str(port)})

    def _add_command(self, command: str, name: str, where: str, env: dict[str, str]) -> Part:
        child = Child(
            name,
            [sys.executable, "-P", "-m", "ops.cli", command],
            self.state / "logs" / f"{name}.log",
            env=settings_environment(self.settings) | env,
        )
        part = self._add(Part(name, where, child))
        child.start()
        return part

    def _add(self, part: Part) -> Part:
        # Before its start, so that whatever interrupts the start still finds it to stop.
        self.parts.append(part)
        return part

    def _port(self, place: int) -> int:
        return pick_port(preferred_port(str(self.state), place))

    def _update(self, **fields: object) -> None:
        self.settings = self.settings.model_copy(update=fields)


def _absolute(location: str) -> str:
    """A folder by its whole path, as the parts may run elsewhere; a URL as it is."""
    return location if not location or "://" in location else str(Path(location).absolute())
