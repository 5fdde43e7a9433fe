"""docs/serving.md names settings, defaults and limits as they are."""

import json
import re
from pathlib import Path

import yaml

from api.http.bodies import MAX_BODY_BYTES, READ_TIMEOUT_S
from contracts.settings import Settings
from ops.serving import GRACE_S, connection, managed_process

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()


def test_every_variable_of_the_page_is_a_setting() -> None:
    named = set(re.findall(r"STOREPULSE_([A-Z_]+[A-Z])", PAGE))
    assert {name.lower() for name in named} <= Settings.model_fields.keys()


def test_defaults_on_the_page_are_the_defaults() -> None:
    stated = re.findall(r"`STOREPULSE_([A-Z_]+)` \(([0-9]+(?:\.[0-9]+)?)[:)]", PAGE)
    assert len(stated) >= 5
    defaults = {name: Settings.model_fields[name.lower()].default for name, _ in stated}
    assert {name: float(value) for name, value in stated} == defaults


def test_limits_on_the_page_are_the_limits() -> None:
    assert f"| {connection.MAX_HEAD_BYTES // 1024} KiB in {connection.MAX_HEADERS} headers |" in PAGE
    assert f"| path and query | {connection.MAX_URL_BYTES // 1024} KiB |" in PAGE
    assert f"| time of the head | {connection.HEAD_TIMEOUT_S:g} s" in PAGE
    assert f"| the body | {MAX_BODY_BYTES // 2**20} MiB" in PAGE
    assert f"| time of the body | {READ_TIMEOUT_S:g} s |" in PAGE
    assert f"at most {GRACE_S} s" in PAGE
    assert f"has not turned for {managed_process.HUNG_S:g} s" in PAGE


def test_the_log_line_and_the_manifest_can_be_read() -> None:
    blocks = dict(re.findall(r"```(json|yaml)\n(.*?)```", PAGE, re.DOTALL))
    line = json.loads(blocks["json"])
    assert line["message"].startswith(f"{line['method']} {line['route']} {line['status']} in ")
    pod = yaml.safe_load(blocks["yaml"])
    (container,) = pod["containers"]
    pre_stop_s = next(float(v["value"]) for v in container["env"] if v["name"] == "STOREPULSE_PRE_STOP_S")
    assert pod["terminationGracePeriodSeconds"] > pre_stop_s + GRACE_S + 5
