"""Fields the contract does not know: what of them is kept, and what must not be."""

from typing import Any

import pytest

from api.resources.events.free_fields import Cleaner
from api.resources.events.ip_addresses import truncate_address


def clean(**fields: Any) -> dict[str, Any]:
    return Cleaner(5).clean(fields)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0"),
        (" 203.0.113.77 ", "203.0.113.0"),
        ("2001:db8:1234:5678:9abc:def0:1234:5678", "2001:db8:1234::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("::1", "::"),
        ("unix:", None),
        ("203.0.113.77:8080", None),
        ("203.0.113.77, 198.51.100.1", None),
        ("0x7f000001", None),
        ("", None),
    ],
)
def test_of_an_address_only_the_network_is_kept(address: str, network: str | None) -> None:
    assert truncate_address(address) == network


def test_fields_named_as_addresses_keep_a_network_or_nothing() -> None:
    fields = clean(
        ip="203.0.113.77",
        ip_address=["203.0.113.77"],
        context={"ip": "2001:db8:1234:5678::1", "device": {"ipAddress": 3_405_803_853}},
        log=[{"client_ip": "unknown"}],
        shipping="203.0.113.77",
    )
    assert fields == {
        "ip": "203.0.113.0",
        "ip_address": None,
        "context": {"ip": "2001:db8:1234::", "device": {"ipAddress": None}},
        "log": [{"client_ip": None}],
        "shipping": "203.0.113.77",
    }


def test_addresses_and_card_numbers_in_texts_are_replaced_and_counted() -> None:
    cleaner = Cleaner(5)
    fields = cleaner.clean(
        {
            "note": "write to anna.b+shop@mail.example.co.uk or call",
            "pay": "4111 1111 1111 1111",
            "deep": [{"cards": ["x 5500-0000-0000-0004 y", 4111111111111111]}, "a@b.example"],
        }
    )
    assert fields == {
        "note": "write to [email] or call",
        "pay": "[card]",
        "deep": [{"cards": ["x [card] y", "[card]"]}, "[email]"],
    }
    assert cleaner.redacted == 5


@pytest.mark.parametrize(
    "value",
    [
        "@shop",
        "a@b",
        "4111 1111 1111 1112",  # no card's checksum
        "94111111111111111111",  # longer
        "1234567890123452",  # nobody's prefix
        1_760_000_000_000_000,
        4_111_111_111_111_112,
        "p" * 20,
        1.5,
        None,
        True,
    ],
)
def test_what_only_looks_like_one_stays(value: object) -> None:
    assert clean(value=value, values=[value]) == {"value": value, "values": [value]}


def test_long_texts_take_no_long_time_to_search() -> None:
    text = "a." * 15_000 + "@" + "4 " * 15_000  # quadratic, it would take minutes
    assert clean(text=text)["text"] == text
