"""Signatures, against the vector that the specification's own libraries are tested with."""

import base64
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook

from delivery.webhooks.signing import InvalidSignature, check_secret, make_secret, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - published with the vector
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def now_s() -> int:
    return int(time.time())


def test_the_published_vector_is_met() -> None:
    assert sign(MESSAGE_ID, 1_614_265_330, BODY, [SECRET]) == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_give_two_signatures_and_either_verifies() -> None:
    old, new = make_secret(), make_secret()
    headers = sign(MESSAGE_ID, now_s(), BODY, [new, old])
    assert headers["webhook-signature"].count("v1,") == 2
    assert verify(BODY, headers, old) == verify(BODY, headers, new) == {"test": 2432232314}
    with pytest.raises(InvalidSignature, match="No matching signature"):
        verify(BODY, headers, make_secret())


def test_secrets_are_32_random_bytes_in_the_form_of_the_specification() -> None:
    one, other = make_secret(), make_secret()
    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32
    assert check_secret(one) == one


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_***", "whsec_c2hvcnQ=", "whsec_" + "A" * 100])
def test_what_is_no_secret_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"a secret (is|has|must be)") as caught:
        check_secret(text)
    assert len(text) < 7 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"webhook-id": ""}, "Missing"),
        ({"webhook-timestamp": ""}, "Missing"),
        ({"webhook-signature": ""}, "Missing"),
        ({"webhook-id": "msg_other"}, "No matching"),
        ({"webhook-signature": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="}, "No matching"),
        ({"webhook-signature": "v1,"}, "No matching"),
        ({"webhook-signature": "v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="}, "No matching"),
        ({"webhook-signature": "garbage"}, "malformed"),
        ({"webhook-signature": "v1,a,b"}, "malformed"),
        ({"webhook-signature": "v1,a"}, "malformed"),
        ({"webhook-timestamp": "yesterday"}, "Invalid"),
        ({"webhook-timestamp": "1614265330"}, "too old"),
        ({"webhook-timestamp": str(now_s() + 3_600)}, "too new"),
    ],
)
def test_a_receiver_gets_one_kind_of_error_for_whatever_is_wrong(changed: dict[str, str], says: str) -> None:
    headers = sign(MESSAGE_ID, now_s(), BODY, [SECRET]) | changed
    with pytest.raises(InvalidSignature, match=says):
        verify(BODY, headers, SECRET)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"not json", b'{"test": 1}'])
def test_a_body_that_was_not_signed_or_is_no_json_is_refused(body: bytes) -> None:
    signed = sign(MESSAGE_ID, now_s(), body if body == b"not json" else BODY, [SECRET])
    with pytest.raises(InvalidSignature):
        verify(body, signed, SECRET)


def test_the_library_signs_other_time_zones_wrongly_and_so_is_given_utc_only() -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    elsewhere = at.astimezone(timezone(timedelta(hours=5)))
    library = Webhook(SECRET)
    assert library.sign(MESSAGE_ID, elsewhere, BODY.decode()) != library.sign(MESSAGE_ID, at, BODY.decode())
    headers = sign(MESSAGE_ID, int(elsewhere.timestamp()), BODY, [SECRET])
    assert headers["webhook-signature"] == library.sign(MESSAGE_ID, at, BODY.decode())
