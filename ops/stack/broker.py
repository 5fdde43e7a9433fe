"""A real Apache Kafka of one node (KRaft) as a child process, its data on disk."""

import base64
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops.stack.child import Child, StartError
from ops.stack.kafka_jars import resolve_jars
from ops.stack.ports import LOOPBACK, pick_port

MIN_JAVA = 17
SMALL_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Answers after about 3 s in about 340 MB. Only C1 compiles: not for measuring throughput."""

_LOG4J = """\
status = warn
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {folder}/server.log
appender.file.filePattern = {folder}/server.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


@dataclass
class KafkaBroker:
    """One broker; everything it keeps lies under `folder`. Ports stay the same over restarts."""

    folder: Path
    port: int = 0
    controller_port: int = 0
    jvm_options: Sequence[str] = SMALL_JVM
    child: Child = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.port = self.port or pick_port()
        while self.controller_port in (0, self.port):
            self.controller_port = pick_port()
        self.child = Child("kafka", [], self.folder / "console.log")

    @property
    def bootstrap(self) -> str:
        """`HOST:PORT` for clients."""
        return f"{LOOPBACK}:{self.port}"

    def start(self, timeout_s: float = 60.0) -> None:
        """Start and wait until it serves metadata; raises `StartError` or `JarsError`."""
        if java_version() < MIN_JAVA:
            raise StartError(f"Apache Kafka needs Java {MIN_JAVA} or newer, found {java_version() or 'none'}")
        self._prepare()
        self.child.argv = self._argv("kafka.Kafka")
        self.child.start()
        self.child.await_ready(lambda: serves_metadata(self.bootstrap), timeout_s)

    def stop(self, timeout_s: float = 15.0) -> int:
        """A controlled shutdown; the exit code."""
        return self.child.stop(timeout_s)

    def kill(self) -> int:
        """kill -9: what the page cache holds survives, memory does not."""
        return self.child.kill()

    def restart(self, timeout_s: float = 60.0) -> None:
        """Start again on the same ports and data after `stop` or `kill`."""
        self.start(timeout_s)

    def _argv(self, main_class: str, *arguments: str) -> list[str]:
        return [
            "java",
            *self.jvm_options,
            f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}",
            "-cp",
            f"{resolve_jars()}/*",
            main_class,
            *(arguments or (str(self.folder / "server.properties"),)),
        ]

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        data = self.folder / "data"
        config = self.folder / "server.properties"
        config.write_text(server_properties(self.port, self.controller_port, data))
        (self.folder / "log4j2.properties").write_text(_LOG4J.format(folder=self.folder))
        if (data / "meta.properties").exists():
            return
        tool = (
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            new_cluster_id(),
            "--config",
            str(config),
        )
        done = subprocess.run(self._argv(*tool), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise StartError(f"Kafka's storage format failed:\n{(done.stdout + done.stderr)[-2000:].strip()}")


def server_properties(port: int, controller_port: int, data: Path) -> str:
    """The broker's configuration: broker and controller in one, replication 1, no topics by accident."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        # Short, so that the controller lets a killed and restarted broker back in after 4 s, not 13.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
        # A laptop's disk, not a server's.
        "log.segment.bytes": 256 * 1024 * 1024,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def new_cluster_id() -> str:
    """A random cluster id as Kafka writes them: 16 bytes in URL-safe base64, no leading dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def java_version() -> int:
    """Major version of the `java` on the path; 0 when there is none."""
    java = shutil.which("java")
    if java is None:
        return 0
    done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    return int(found[1]) if found else 0


def serves_metadata(bootstrap: str, timeout_s: float = 1.0) -> bool:
    """Whether a Kafka broker answers there and counts itself in (a fenced one lists no broker)."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "socket.timeout.ms": 1000})
    try:
        return bool(client.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False
