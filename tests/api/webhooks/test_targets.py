"""Which URLs may be registered, and which addresses may be asked."""

from ipaddress import ip_address

import pytest

from contracts.settings import Settings
from delivery.webhooks.addresses import embedded, is_loopback, is_public, is_unicast
from delivery.webhooks.targets import (
    FOR_DEVELOPMENT,
    TargetRules,
    UnsafeTarget,
    check_addresses,
    parse_target,
    target_rules_of,
)

RULES = TargetRules(blocked_hosts=frozenset({"api.shop.example"}))
DEVELOPMENT = TargetRules(allow_private=True)
REFUSED = [
    # What attackers try, as it stands and with the scheme we take.
    ("http://169.254.169.254", "url.scheme"),
    ("https://169.254.169.254/latest/meta-data", "url.private_address"),
    ("http://[::ffff:127.0.0.1]", "url.scheme"),
    ("https://[::ffff:127.0.0.1]/", "url.private_address"),
    ("http://2130706433", "url.scheme"),
    ("https://2130706433/", "url.host"),
    ("http://127.1", "url.scheme"),
    ("https://127.1/", "url.host"),
    ("https://0x7f000001/", "url.host"),
    ("https://0x7f.1/", "url.host"),
    ("https://0177.0.0.1/", "url.host"),
    ("https://127.0.0.1./", "url.host"),
    ("https://256.1.1.1/", "url.host"),
    ("http://①②⑦.0.0.1", "url.scheme"),
    ("https://①②⑦.0.0.1/", "url.malformed"),
    ("https://ⓔxample.com/", "url.malformed"),
    ("https://example。com/", "url.malformed"),
    ("http://a@127.0.0.1", "url.scheme"),
    ("https://a@127.0.0.1/", "url.userinfo"),
    ("https://example.com@127.0.0.1/", "url.userinfo"),
    ("https://@example.com/", "url.userinfo"),
    ("file:///etc/passwd", "url.scheme"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "url.scheme"),
    ("ftp://example.com/", "url.scheme"),
    ("javascript:alert(1)", "url.scheme"),
    ("", "url.scheme"),
    ("example.com/hook", "url.scheme"),
    (" https://example.com/", "url.scheme"),
    ("https:/example.com/", "url.malformed"),
    ("https:example.com", "url.malformed"),
    ("https:\\\\example.com/", "url.malformed"),
    ("https://example.com\\@127.0.0.1/", "url.malformed"),
    ("https://example.com/a b", "url.malformed"),
    ("https://example.com/\r\nHost: x", "url.malformed"),
    ("https://exam\tple.com/", "url.malformed"),
    ("https://example.com/#fragment", "url.fragment"),
    ("https://example.com/#", "url.fragment"),
    ("https://example.com:99999/", "url.malformed"),
    ("https://example.com:x/", "url.malformed"),
    ("https://[::1/", "url.malformed"),
    ("https://example.com:6379/", "url.port"),
    ("https://example.com:80/", "url.port"),
    ("https://example.com:0/", "url.port"),
    ("https:///hook", "url.host"),
    ("https://-a.example/", "url.host"),
    ("https://a..example/", "url.host"),
    ("https://%31%32%37.0.0.1/", "url.host"),
    ("https://exa%6dple.com/", "url.host"),
    ("https://" + "a" * 64 + ".example/", "url.host"),
    ("https://[fe80::1%25eth0]/", "url.host"),
    ("https://[::]/", "url.private_address"),
    ("https://[::1]/", "url.private_address"),
    ("https://localhost/", "url.private_host"),
    ("https://kafka/", "url.private_host"),
    ("https://redis.internal/", "url.private_host"),
    ("https://printer.local/", "url.private_host"),
    ("https://api.shop.example/v1/webhooks", "url.blocked_host"),
    ("https://API.Shop.Example/", "url.blocked_host"),
    ("https://example.com/" + "a" * 2_000, "url.too_long"),
]
PRIVATE = [
    "0.0.0.1", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1",
    "192.0.0.8", "192.0.0.9", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::",
    "2001:db8::1", "2001:10::1", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::", "3fff::1", "5f00::1",
    "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "not an address", "",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:800::200e",
    "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize(("url", "code"), REFUSED, ids=[url[:40] for url, _ in REFUSED])
def test_a_url_that_must_not_be_asked_is_refused_with_its_code(url: str, code: str) -> None:
    with pytest.raises(UnsafeTarget) as caught:
        parse_target(url, RULES)
    assert caught.value.code == code
    assert len(url) < 9 or url not in caught.value.detail


@pytest.mark.parametrize(
    ("url", "is_for_development"),
    [
        ("http://127.0.0.1:9000/hook", True),
        ("http://localhost:9000/hook", True),
        ("https://localhost/", True),
        ("https://192.168.1.4:8443/", True),
        ("https://crm.internal/", True),
        ("http://192.168.1.4/", False),
        ("http://crm.internal/", False),
        ("http://example.com/", False),
        ("ftp://127.0.0.1/", False),
        ("https://api.shop.example/", False),
        ("https://127.1/", False),
    ],
)
def test_a_refusal_names_the_setting_that_lets_a_url_in_for_development(
    url: str, is_for_development: bool
) -> None:
    with pytest.raises(UnsafeTarget) as caught:
        parse_target(url, RULES)
    assert caught.value.detail.endswith(FOR_DEVELOPMENT) is is_for_development
    if is_for_development:
        assert parse_target(url, DEVELOPMENT).url == url


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com", "example.com", 443),
        ("HTTPS://Example.COM/hook?a=b%20c", "example.com", 443),
        ("https://xn--bcher-kva.example:8443/", "xn--bcher-kva.example", 8443),
        ("https://a_b.example.com/%2F", "a_b.example.com", 443),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://[2606:4700:4700:0::1111]/", "2606:4700:4700::1111", 443),
    ],
)
def test_a_url_of_the_public_internet_is_taken_apart(url: str, host: str, port: int) -> None:
    target = parse_target(url, RULES)
    assert (target.scheme, target.host, target.port, target.url) == ("https", host, port, url)


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_is_not_public_is_known_in_every_form(text: str) -> None:
    assert not is_public(text)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_public(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("::ffff:127.0.0.1", {"127.0.0.1"}),
        ("2002:7f00:1::", {"127.0.0.1"}),
        ("64:ff9b::7f00:1", {"127.0.0.1"}),
        ("::127.0.0.1", {"127.0.0.1"}),
        ("2001:0:7f00:1:0:0:80ff:fffe", {"127.0.0.1"}),
        ("2606:4700::1", set()),
    ],
)
def test_addresses_inside_addresses_are_found(text: str, inside: set[str]) -> None:
    assert {str(one) for one in embedded(ip_address(text))} >= inside


@pytest.mark.parametrize("port", ["80", "6379", "22"])
def test_ports_are_a_setting(port: str) -> None:
    rules = target_rules_of(Settings(webhook_ports=f"443,{port}"))
    assert parse_target(f"https://example.com:{port}/", rules).port == int(port)


def test_hosts_of_our_own_services_are_blocked() -> None:
    rules = target_rules_of(
        Settings(
            bootstrap="kafka.shop.example:9092,10.0.0.7:9092",
            redis_url="redis://cache.shop.example:6379/0",
            webhook_blocked_hosts="API.shop.example, www.shop.example",
        )
    )
    for host in ("kafka.shop.example", "cache.shop.example", "api.shop.example", "www.shop.example"):
        with pytest.raises(UnsafeTarget, match="service of this installation"):
            parse_target(f"https://{host}/", rules)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    target = parse_target("https://example.com/", RULES)
    assert check_addresses(target, ["8.8.8.8", "1.1.1.1"], RULES) == ["8.8.8.8", "1.1.1.1"]
    for addresses, rule in (
        (["8.8.8.8", "10.0.0.1"], "private_address"),
        (["8.8.8.8", "::1"], "private_address"),
        ([], "no_address"),
    ):
        with pytest.raises(UnsafeTarget) as caught:
            check_addresses(target, addresses, RULES)
        assert caught.value.code == f"url.{rule}"


def test_development_reaches_this_machine_but_http_goes_nowhere_else() -> None:
    assert parse_target("http://127.0.0.1:9000/hook", DEVELOPMENT).port == 9000
    assert parse_target("https://10.0.0.1:9000/", DEVELOPMENT).host == "10.0.0.1"
    local = parse_target("http://localhost:9000/", DEVELOPMENT)
    assert check_addresses(local, ["127.0.0.1", "::1"], DEVELOPMENT)
    for target, addresses in ((local, ["127.0.0.1", "10.0.0.1"]), (local, ["93.184.215.14"])):
        with pytest.raises(UnsafeTarget) as caught:
            check_addresses(target, addresses, DEVELOPMENT)
        assert caught.value.code == "url.scheme"
    for url in ("http://10.0.0.1/", "http://224.0.0.1/", "https://0.0.0.0/", "https://[ff02::1]/"):
        with pytest.raises(UnsafeTarget):
            parse_target(url, DEVELOPMENT)


def test_loopback_and_unicast_know_mapped_addresses() -> None:
    assert [is_loopback(text) for text in ("::ffff:127.0.0.1", "::1", "8.8.8.8", "x")] == [
        True,
        True,
        False,
        False,
    ]
    assert [is_unicast(text) for text in ("::ffff:224.0.0.1", "fd00::1", "x")] == [False, True, False]
