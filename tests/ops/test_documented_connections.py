"""docs/connections.md names every setting of connections, and nothing that is none."""

import re
from pathlib import Path

from connections import kafka_troubles, redis_troubles
from connections.troubles import EXIT_REFUSED
from contracts.connection_settings import ConnectionSettings
from contracts.settings import SECRETS, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "connections.md").read_text()
NAMED = set(re.findall(r"STOREPULSE_([A-Z_]+[A-Z])\b(?!\*)", PAGE))


def test_every_setting_is_named_and_no_other() -> None:
    wanted = {name.upper() for name in ConnectionSettings.model_fields}
    files = {f"{name.upper()}_FILE" for name in SECRETS}
    assert wanted <= NAMED
    assert {name.upper() for name in Settings.model_fields} | files >= NAMED


def test_every_secret_may_be_in_a_file() -> None:
    assert {f"{name.upper()}_FILE" for name in SECRETS} <= NAMED


def test_the_exit_code_and_the_lines_are_those_of_the_source() -> None:
    assert f"exit code {EXIT_REFUSED}" in PAGE
    sources = "".join(Path(str(module.__file__)).read_text() for module in (kafka_troubles, redis_troubles))
    for line in re.findall(r"^    (Kafka refuses [^:]+): (.+)$", PAGE, re.MULTILINE):
        assert all(part in sources for part in line)
