"""Records and hashes that an earlier version wrote say to this one what they said."""

from typing import Any

import orjson
import pytest

from api.identity.key_record import decode_record, encode_record
from contracts.alerts import InvalidAlert, decode_alert, encode_alert, make_alert_id
from contracts.dead_letters import decode_dead_letter, encode_dead_letter
from contracts.deletions import cut_of, decode_deletion, digest_user, encode_deletion, secret_id_of
from contracts.events import decode, encode
from contracts.heartbeat import from_hash
from golden_files import Values, alert_values, golden_records, to_json

NOW_MS = 1_748_854_800_000


@pytest.mark.parametrize("golden", golden_records("alerts"), ids=lambda golden: golden["id"])
def test_an_alert_is_read_and_written_as_it_was(golden: Values) -> None:
    alert = decode_alert(golden["value"].encode())
    assert to_json(alert_values(alert) | {"segment": alert.detail.segment}) == golden["values"]
    assert alert.record_id == golden["id"]
    was, written = orjson.loads(golden["value"]), orjson.loads(encode_alert(alert))
    added = written.keys() - was.keys()
    assert added <= {"at_risk_minor"}
    assert {name: written[name] for name in written if name not in added} == was


@pytest.mark.parametrize(("parts", "alert_id"), golden_records("alert_ids"))
def test_an_alert_gets_the_id_that_it_had(parts: list[Any], alert_id: str) -> None:
    user_id, kind, session, episode, first_ms = parts
    assert make_alert_id(user_id, kind, session, episode, first_ms) == alert_id


@pytest.mark.parametrize(("raw", "code"), golden_records("not_alerts"))
def test_what_was_no_alert_is_none(raw: str | None, code: str) -> None:
    with pytest.raises(InvalidAlert) as caught:
        decode_alert(None if raw is None else raw.encode("latin-1"))
    assert caught.value.code == code


@pytest.mark.parametrize("golden", golden_records("dead_letters"), ids=lambda golden: golden["id"])
def test_a_dead_letter_is_read_and_written_as_it_was(golden: Values) -> None:
    letter = decode_dead_letter(golden["value"].encode())
    assert to_json(letter._asdict()) == {**golden["values"], "client": None}
    assert letter.letter_id == golden["id"]
    assert encode_dead_letter(letter) == golden["value"].encode()


@pytest.mark.parametrize("golden", golden_records("deletions"))
def test_a_deletion_is_read_and_written_as_it_was(golden: Values) -> None:
    deletion = decode_deletion(golden["value"].encode())
    assert to_json(deletion._asdict()) == golden["values"]
    assert digest_user(golden["user_id"], golden["secret"]) == deletion.digest == golden["key"]
    assert secret_id_of(golden["secret"]) == deletion.secret_id
    assert cut_of(deletion, golden["record_ms"]) == golden["cut_ms"]
    assert encode_deletion(deletion) == golden["value"].encode()


@pytest.mark.parametrize("golden", golden_records("events"))
def test_an_event_is_read_and_written_as_it_was(golden: Values) -> None:
    event = decode(golden["value"].encode(), received_ms=NOW_MS, default_currency="EUR")
    assert to_json(event._asdict()) == {"customer_id": None, **golden["values"]}
    assert encode(event) == golden["value"].encode()


@pytest.mark.parametrize("golden", golden_records("heartbeats"))
def test_a_heartbeat_is_read_and_has_the_fields_that_it_had(golden: Values) -> None:
    heartbeat = from_hash(golden["hash"])
    assert golden["values"].items() <= to_json(heartbeat._asdict()).items()
    assert golden["hash"].items() <= heartbeat.to_hash().items()


@pytest.mark.parametrize("golden", golden_records("api_keys"))
def test_an_api_key_is_read_and_has_the_fields_that_it_had(golden: Values) -> None:
    record = decode_record(golden["value"].encode())
    assert golden["values"].items() <= orjson.loads(encode_record(record)).items()
