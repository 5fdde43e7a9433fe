"""Whatever a model does, counting goes on: a real worker with models that hang, fail and are spoiled."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from contracts.alerts import CHURN_RISK, decode_alert
from contracts.heartbeat import Heartbeat
from exactness import assert_exact, await_load
from ops.audit import read_log
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Traffic
from ops.stack.ports import LOOPBACK, pick_port
from served_api import ServedApi
from stub_model import Trap, write_model

OpenSystem = Callable[..., SystemUnderTest]
Send = Callable[..., Traffic]
AskReadiness = Callable[[SystemUnderTest], dict[str, str]]


@pytest.fixture
def ask_readiness() -> Iterator[AskReadiness]:
    """`ask_readiness(system)`: what an API of this system says of the model in `/readyz`."""
    served: list[ServedApi] = []

    def ask(system: SystemUnderTest) -> dict[str, str]:
        if not served:
            served.append(ServedApi(system.settings.model_copy(update={"api_port": pick_port()})))
            served[0].start()
        part: dict[str, str] = httpx.get(f"{served[0].url}/readyz", timeout=30).json()["parts"]["model"]
        return part

    yield ask
    for api in served:
        api.stop()


def folder_of(system: SystemUnderTest) -> Path:
    return Path(system.settings.model_dir)


def await_heartbeat(system: SystemUnderTest, holds: Callable[[Heartbeat], bool], what: str) -> Heartbeat:
    """The first heartbeat of the only worker of which this holds."""
    found: list[Heartbeat] = []

    def look() -> bool:
        found[:] = [beat for beat in system.heartbeats() if holds(beat)]
        return bool(found)

    system.await_that(look, 60, f"a heartbeat with {what}")
    return found[0]


def read_metric(beat: Heartbeat, name: str) -> float:
    """A metric of the worker, by its name and labels as they are printed."""
    text = httpx.get(f"http://{LOOPBACK}:{beat.metrics_port}/metrics", timeout=30).text
    (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(value)


@pytest.mark.parametrize(
    ("trap", "words"),
    [("hangs", "the model takes longer than 0.5 s"), ("fails", "the model failed: InvalidArgument")],
)
def test_a_model_that_hangs_or_fails_costs_scores_and_nothing_else(
    tmp_path: Path, open_shop: OpenSystem, send: Send, ask_readiness: AskReadiness, trap: Trap, words: str
) -> None:
    bad = write_model(tmp_path / "model", trap=trap)
    system = open_shop()
    traffic = send(system)
    beat = await_heartbeat(system, lambda beat: beat.scoring == words and beat.skipped > 1_000, words)
    await_load(system)
    assert (beat.model, beat.scored) == (bad, 0)
    assert read_metric(beat, 'storepulse_worker_scores_total{result="skipped"}') >= beat.skipped
    readiness = ask_readiness(system)
    assert readiness["status"] == "degraded"
    assert words in readiness["detail"]

    good = write_model(folder_of(system))
    beat = await_heartbeat(system, lambda beat: beat.scored > 1_000 and beat.scoring == "ok", "scores")
    assert beat.model == good
    assert ask_readiness(system)["detail"].startswith(f"visitors are scored by {good}")
    assert_exact(system, traffic)
    assert system.supervisor.exits == [], "the worker took up the good model without a restart"


def test_a_new_version_is_taken_up_and_a_spoiled_one_refused(
    open_shop: OpenSystem, send: Send, ask_readiness: AskReadiness
) -> None:
    system = open_shop()
    traffic = send(system)
    first = await_heartbeat(system, lambda beat: beat.scored > 1_000, "scores").model
    second = write_model(folder_of(system), phase=1.0)
    await_heartbeat(system, lambda beat: beat.model == second, "the new version")
    spoiled = write_model(folder_of(system), phase=2.0, off_by=0.1)
    reason = "golden outputs differ: purchase by 0.1, allowed is 0.001"
    refused = await_heartbeat(system, lambda beat: reason in beat.scoring, reason)
    later = await_heartbeat(system, lambda beat: beat.scored > refused.scored + 1_000, "more scores")
    assert later.model == second
    assert read_metric(later, "storepulse_worker_models_refused_total") >= 1
    readiness = ask_readiness(system)
    assert readiness["status"] == "degraded"
    assert f"a new model was rejected: {reason}" in readiness["detail"]
    assert_exact(system, traffic)
    assert system.supervisor.exits == []
    alerts = [decode_alert(value) for _, value in read_log(system.client, system.keys)]
    churn = {alert.model for alert in alerts if alert.kind == CHURN_RISK}
    assert churn == {first, second}
    assert spoiled not in churn
