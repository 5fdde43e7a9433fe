"""A whole shop on a Kafka with SASL over TLS and a Redis with TLS and an ACL user, and what it says where one
of these does not fit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from certificates import Authority
from connections.kafka import librdkafka_arguments
from connections.troubles import EXIT_REFUSED
from contracts.keys import Keys
from contracts.settings import Settings
from ops.audit import count_log, distinct_letters
from ops.stack.child import Child, StartError
from ops.stack.kafka_jars import JarsError
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment, settings_fields
from ops.stack.topics import ensure_topics
from secured_services import (
    ADMIN,
    ADMIN_PASSWORD,
    MECHANISMS,
    PASSWORD,
    READER,
    READER_PASSWORD,
    REDIS_PASSWORD,
    REDIS_USER,
    USER,
    SecuredKafka,
    SecuredRedis,
)
from services import lack, wait_until
from sources.archive import find_manifest, open_store

SECRETS = (PASSWORD, REDIS_PASSWORD)
EVENTS = 40


@dataclass(frozen=True)
class Secured:
    """The services, and the settings with which they let us in."""

    settings: Settings
    redis: SecuredRedis
    authority: Authority
    stranger: Authority
    folder: Path

    def environment(self, **changed: str) -> dict[str, str]:
        """Variables of a process of ours: secrets are in files, as a container platform mounts them."""
        files = {}
        for name, secret in (("KAFKA_PASSWORD", PASSWORD), ("REDIS_PASSWORD", REDIS_PASSWORD)):
            path = self.folder / name
            path.write_text(f"{secret}\n")
            files[f"STOREPULSE_{name}_FILE"] = str(path)
        return {**settings_environment(self.settings), **files, **changed}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority, stranger = Authority(folder / "ca"), Authority(folder / "stranger", "a stranger")
    redis = SecuredRedis(folder / "redis", authority, *authority.issue("redis"))
    certificate, key = authority.issue("kafka")
    kafka = SecuredKafka(folder / "kafka", certificate=certificate, key=key)
    try:
        kafka.start()
        redis.start()
    except (StartError, JarsError) as exc:
        lack(f"no secured services for this test: {exc}")
    settings = Settings(
        bootstrap=kafka.bootstrap, kafka_mechanism="SCRAM-SHA-256", kafka_username=USER,
        kafka_password=PASSWORD, kafka_ca=str(authority.path), redis_url=redis.url,
        redis_username=REDIS_USER, redis_password=REDIS_PASSWORD, redis_ca=str(authority.path),
        partitions=2, api_port=pick_port(), deliver_port=pick_port(), worker_port=pick_port(),
    )  # fmt: skip
    yield Secured(settings, redis, authority, stranger, folder)
    kafka.kill()
    redis.child.kill()


def run(env: Mapping[str, str], *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "ops.cli", *arguments],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


Part = Callable[..., Child]


@pytest.fixture
def part(secured: Secured, tmp_path: Path) -> Iterator[Part]:
    """`part("worker", **variables)`: a part of ours that runs until the test ends."""
    started: list[Child] = []

    def start(name: str, **changed: str) -> Child:
        argv = [sys.executable, "-P", "-m", "ops.cli", name]
        started.append(Child(name, argv, tmp_path / f"{name}.log", env=secured.environment(**changed)))
        started[-1].start()
        return started[-1]

    yield start
    for child in started:
        if child.alive:
            child.kill()


def test_a_shop_runs_through_every_part_and_no_secret_is_shown(
    secured: Secured, part: Part, tmp_path: Path
) -> None:
    settings, env, said = secured.settings, secured.environment(), ""
    made = run(env, "topics")
    assert made.returncode == 0, made.stderr
    children = [part("worker"), part("api"), part("deliver")]
    url = f"http://127.0.0.1:{settings.api_port}"
    wait_until(lambda: _status(f"{url}/readyz") == 200, 90, "the API to be ready")
    for name in ("worker", "deliver", "api"):
        health = run(env, "health", name)
        assert health.returncode == 0, health.stdout
    rows = [
        {"event_id": f"e{n}", "event_type": "view", "event_time": 1_748_854_800_000 + n, "user_id": f"u{n}",
         "product_id": "p"}
        for n in range(EVENTS)
    ]  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    replayed = run(env, "replay", str(file), "--state", str(tmp_path), "--json")
    assert replayed.returncode == 0, replayed.stderr
    posted = httpx.post(f"{url}/v1/events", json={**rows[0], "event_id": "by HTTP"}, timeout=30)
    assert posted.status_code == 202, posted.text
    with secured.redis.admin() as client:
        keys = Keys(settings.namespace, settings.partitions)
        wait_until(
            lambda: sum(int(client.hget(keys.meta(p), "applied") or 0) for p in range(2)) == EVENTS + 1,
            60, "every event to be counted",
        )  # fmt: skip
    assert httpx.get(f"{url}/v1/users/u0", timeout=30).json()["totals"]["counts"]["view"] == 2
    assert count_log(settings).records == EVENTS + 1
    assert distinct_letters(settings) == set()
    archived = run(env, "archive", "--to", str(tmp_path / "archive"), "--once")
    assert archived.returncode == 0, archived.stderr
    said += archived.stdout + archived.stderr
    manifest = find_manifest(open_store(str(tmp_path / "archive")))
    assert manifest is not None
    assert manifest.rows == EVENTS + 1
    for command in (["doctor", "--json"], ["status", "--json"], ["rejected", "ls"]):
        done = run(env, *command, "--state", str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout + done.stderr
    doctor = {check["name"]: check["level"] for check in json.loads(run(env, "doctor", "--json").stdout)}
    assert {doctor[name] for name in ("redis", "redis writes", "kafka", "topics", "open transactions")} == {
        "ok"
    }
    said += "".join(child.log_path.read_text() for child in children)
    said += str(settings_fields(settings)) + made.stdout + made.stderr + replayed.stdout + replayed.stderr
    assert [secret for secret in SECRETS if secret in said] == []


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.HTTPError:
        return 0


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_is_taken_by_every_client(secured: Secured, mechanism: str) -> None:
    settings = secured.settings.model_copy(update={"kafka_mechanism": mechanism})
    assert ensure_topics(settings) == settings.partitions  # kafka-python, and aiokafka before it
    assert AdminClient(librdkafka_arguments(settings)).list_topics(timeout=20).brokers


WRONG = {
    "kafka password": (
        {"KAFKA_PASSWORD": "wrong"},
        "Kafka rejects the user name or the password",
        ["worker"],
    ),
    "kafka user": ({"KAFKA_USERNAME": "nobody"}, "Kafka rejects the user name or the password", ["simulate"]),
    "kafka CA": ({"KAFKA_CA": "stranger"}, "the CA of its certificate is unknown", ["api"]),
    "kafka in the clear": ({"KAFKA_SECURITY": "PLAINTEXT"}, "STOREPULSE_KAFKA_SECURITY", ["topics"]),
    "kafka without SASL": ({"KAFKA_SECURITY": "SSL"}, "STOREPULSE_KAFKA_SECURITY", ["rejected", "ls"]),
    "redis password": (
        {"REDIS_PASSWORD": "wrong"},
        "Redis rejects the user name or the password",
        ["worker"],
    ),
    "redis user": ({"REDIS_USERNAME": "nobody"}, "Redis rejects the user name or the password", ["deliver"]),
    "redis CA": ({"REDIS_CA": "stranger"}, "the CA of its certificate is unknown", ["api"]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_one_line_and_an_exit_code(secured: Secured, wrong: str) -> None:
    changed, says, command = WRONG[wrong]
    env = secured.environment()
    for name, value in changed.items():
        env.pop(f"STOREPULSE_{name}_FILE", None)
        env[f"STOREPULSE_{name}"] = str(secured.stranger.path) if value == "stranger" else value
    done = run(env, *command)
    assert done.returncode in (EXIT_REFUSED, 1), done.stderr
    said = " ".join(done.stderr.split())
    assert says in said
    assert "Traceback" not in said
    assert said.count(says) == 1
    if command == ["worker"]:
        found = {check["name"]: check for check in json.loads(run(env, "doctor", "--json").stdout)}
        service = found[wrong.split()[0]]
        assert service["level"] == "fail"
        assert says in service["found"]


@pytest.mark.parametrize("service", ["kafka", "redis"])
def test_an_expired_certificate_is_named(secured: Secured, tmp_path: Path, service: str) -> None:
    pair = secured.authority.issue(f"expired-{service}", days=0)
    env = secured.environment()
    if service == "redis":
        server = SecuredRedis(tmp_path / "redis", secured.authority, *pair)
        server.start()
        child, env["STOREPULSE_REDIS_URL"] = server.child, server.url
    else:
        broker = SecuredKafka(tmp_path / "kafka", certificate=pair[0], key=pair[1])
        broker.start()
        child, env["STOREPULSE_BOOTSTRAP"] = broker.child, broker.bootstrap
    try:
        done = run(env, "worker")
    finally:
        child.kill()
    assert done.returncode == EXIT_REFUSED
    assert "its certificate has expired" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_right_in_redis_is_named(secured: Secured) -> None:
    with secured.redis.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "weak", "on", ">weak", "~sp:*", "&sp:*", "+@all", "-xadd")
        admin.execute_command("ACL", "SETUSER", "away", "on", ">away", "~other:*", "+@all")
    for user, says in (("weak", "XADD"), ("away", "it may not use these keys")):
        env = secured.environment(STOREPULSE_REDIS_USERNAME=user, STOREPULSE_REDIS_PASSWORD=user)
        del env["STOREPULSE_REDIS_PASSWORD_FILE"]
        done = run(env, "worker")
        assert done.returncode == EXIT_REFUSED, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr


RIGHTS = {
    "topics": (ResourceType.TOPIC, "", AclOperation.READ),
    "describe": (ResourceType.TOPIC, "", AclOperation.DESCRIBE),
    "write": (ResourceType.TOPIC, "", AclOperation.WRITE),
    "group": (ResourceType.GROUP, "", AclOperation.READ),
}


@pytest.mark.parametrize(
    ("lacking", "says"), [("topics", "permission on a topic"), ("group", "permission on the consumer group"),
                          ("write", "permission on a topic")],
)  # fmt: skip
def test_a_missing_right_in_kafka_is_named(secured: Secured, part: Part, lacking: str, says: str) -> None:
    assert run(secured.environment(), "topics").returncode == 0
    given = [right for name, right in RIGHTS.items() if name != lacking]
    with reader_with(secured, [_allowed(*right) for right in given]) as env:
        worker = part("worker", **env, STOREPULSE_GROUP=f"without-{lacking}")
        wait_until(lambda: says in worker.log_path.read_text(), 90, f"the worker to say it lacks {says}")
        wait_until(lambda: not worker.alive, 60, "the worker to end")
        assert worker.exit_code == EXIT_REFUSED
        assert "Traceback" not in worker.log_path.read_text()


def test_an_api_that_may_not_write_a_topic_names_it(secured: Secured) -> None:
    given = [
        _allowed(ResourceType.TOPIC, "", AclOperation.WRITE),
        _binding(ResourceType.TOPIC, "exposures", AclOperation.WRITE, AclPermissionType.DENY),
    ]
    with reader_with(secured, given) as env:
        done = run(secured.environment(**env), "api")
    assert done.returncode == EXIT_REFUSED, done.stderr
    assert "permission on a topic (exposures)" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def reader_with(secured: Secured, given: list[AclBinding]) -> Iterator[dict[str, str]]:
    """Variables of a user of Kafka who has these rights alone, until the block ends."""
    settings = secured.settings.model_copy(
        update={
            "kafka_username": ADMIN, "kafka_mechanism": "PLAIN", "kafka_password": _secret(ADMIN_PASSWORD),
        }
    )  # fmt: skip
    admin = AdminClient(librdkafka_arguments(settings))
    for future in admin.create_acls(given).values():
        future.result(20)
    try:
        yield {
            "STOREPULSE_KAFKA_USERNAME": READER,
            "STOREPULSE_KAFKA_PASSWORD": READER_PASSWORD,
            "STOREPULSE_KAFKA_PASSWORD_FILE": "",
        }
    finally:
        theirs = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{READER}", None, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        for future in admin.delete_acls([theirs]).values():
            future.result(20)


def _allowed(kind: ResourceType, name: str, operation: AclOperation) -> AclBinding:
    return _binding(kind, name or "*", operation, AclPermissionType.ALLOW)


def _binding(kind: ResourceType, name: str, operation: AclOperation, may: AclPermissionType) -> AclBinding:
    return AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{READER}", "*", operation, may)


def _secret(text: str) -> object:
    from pydantic import SecretStr

    return SecretStr(text)
