"""Who sent what was refused, by what the sender says of itself: short, plain, and not without end."""

import pytest

from contracts.senders import MAX_CHARS, OTHERS, SenderLabels, client_of_agent, client_of_record


@pytest.mark.parametrize(
    ("agent", "client"),
    [
        ("python-requests/2.32.3", "python-requests/2.32.3"),
        ("okhttp/4.12.0 (Android 14)", "okhttp/4.12.0"),
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", "Mozilla/5.0"),
        ("", None),
        ('"}\n<b>', "b"),
        ("x" * 500, "x" * MAX_CHARS),
    ],
)
def test_a_user_agent_names_its_first_product(agent: str, client: str | None) -> None:
    assert client_of_agent(agent) == client


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ((), None),
        ((("client_id", b"orders-service"),), "orders-service"),
        ((("ce_source", b"//shop.example/checkout"), ("traceparent", b"00")), "//shop.example/checkout"),
        ((("User-Agent", b"kafka-http-bridge/3.1"),), "kafka-http-bridge/3.1"),
        ((("ce_source", b"two"), ("client_id", b"one")), "one"),
        ((("client_id", None), ("ce_source", b"\xff\xfe")), None),
    ],
)
def test_headers_of_a_record_name_its_sender(
    headers: tuple[tuple[str, bytes | None], ...], client: str | None
) -> None:
    assert client_of_record(headers) == client


def test_a_metric_has_so_many_senders_and_no_more() -> None:
    labels = SenderLabels(most=2)
    assert [labels.label_of(name) for name in ("a", "b", "c", "a")] == ["a", "b", OTHERS, "a"]
