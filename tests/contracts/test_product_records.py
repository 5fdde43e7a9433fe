"""Records of products: what is read back, what is generous, and what breaks a rule."""

from typing import Any

import orjson
import pytest

from contracts.blob_formats import LaterFormat
from contracts.fields import InvalidEvent
from contracts.product_records import MAX_PRODUCT_BYTES, ProductUpdate, decode_product, encode_product
from contracts.products import (
    Amount,
    KnownProduct,
    Product,
    Promotion,
    check_product,
    pack_product,
    unpack_product,
)

NOW_MS = 1_760_000_000_000
EUR = Amount(1_999, "EUR")
FULL = Product(
    "Mug, blue", EUR, Promotion(Amount(1_499, "EUR"), NOW_MS - 5, NOW_MS + 86_400_000), "https://cdn.shop/m.png",
    "http://shop/mug?a=1#b", "Acme", ("Kitchen", "Gifts"), ("DE", "AT"), 12, True, NOW_MS - 7,
)  # fmt: skip


def read(fields: Any, received_ms: int = NOW_MS) -> ProductUpdate:
    return decode_product(orjson.dumps(fields), received_ms=received_ms, default_currency="EUR")


def test_an_update_is_read_back_from_what_is_written_of_it() -> None:
    cleared = dict.fromkeys(Product._fields)
    for facts in (FULL._asdict(), cleared, {"stock": 0}, {"promotion": Promotion(Amount(5, "JPY"))}, {}):
        update = ProductUpdate("p1", NOW_MS, facts)
        assert decode_product(encode_product(update), received_ms=NOW_MS, default_currency="USD") == update
    removal = ProductUpdate("p1", NOW_MS - 1, removes=True)
    assert decode_product(encode_product(removal), received_ms=NOW_MS, default_currency="USD") == removal


def test_what_shops_send_in_other_forms_is_taken() -> None:
    update = read({
        "product_id": 17, "title": "", "price": 19.99, "currency": "usd", "categories": "Gifts", "stock": "3",
        "regions": ["DE", "", "DE"], "published_at": "2025-10-09T08:53:20+02:00", "deleted": False,
        "page_url": "",
    })  # fmt: skip
    assert update == ProductUpdate(
        "17",
        NOW_MS,
        {
            "title": None,
            "price": Amount(1_999, "USD"),
            "categories": ("Gifts",),
            "stock": 3,
            "regions": ("DE",),
            "published_ms": 1_759_992_800_000,
            "page_url": None,
        },
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"product_id": None}, "product_id.missing"),
        ({"product_id": ["p"]}, "product_id.not_string"),
        ({"titel": "x"}, "product.unknown_field"),
        ({"updated_at": "yesterday"}, "updated_at.not_time"),
        ({"updated_at": "2025-10-09T08:53:20"}, "updated_at.naive"),
        ({"updated_at": NOW_MS + 300_001}, "updated_at.in_future"),
        ({"updated_at": 1_760_000_000}, "updated_at.out_of_range"),
        ({"title": 1.5}, "title.not_string"),
        ({"title": "x" * 257}, "title.too_long"),
        ({"brand": "a\nb"}, "brand.control_characters"),
        ({"price": -1}, "price.negative"),
        ({"price": "12,50"}, "price.not_number"),
        ({"currency": "EURO"}, "currency.unknown"),
        ({"image_url": 3}, "image_url.not_string"),
        ({"image_url": "javascript:alert(1)"}, "image_url.not_http"),
        ({"image_url": "//cdn.shop/x.png"}, "image_url.not_http"),
        ({"image_url": "https:///x.png"}, "image_url.not_http"),
        ({"image_url": "http://[::1"}, "image_url.not_http"),
        ({"page_url": "https://shop/a b"}, "page_url.not_encoded"),
        ({"page_url": 'https://shop/"><script>'}, "page_url.not_encoded"),
        ({"page_url": "https://user:secret@shop/"}, "page_url.with_user"),  # pragma: allowlist secret
        ({"page_url": "https://shop/" + "x" * 2_048}, "page_url.too_long"),
        ({"categories": {"a": 1}}, "categories.not_list"),
        ({"categories": [None]}, "categories.not_string"),
        ({"categories": [str(n) for n in range(21)]}, "categories.too_many"),
        ({"regions": [str(n) for n in range(301)]}, "regions.too_many"),
        ({"stock": -1}, "stock.negative"),
        ({"stock": "-2"}, "stock.negative"),
        ({"stock": 1.5}, "stock.not_integer"),
        ({"stock": True}, "stock.not_number"),
        ({"stock": 10**9}, "stock.too_large"),
        ({"active": "yes"}, "active.not_boolean"),
        ({"published_at": 0}, "published_at.out_of_range"),
        ({"promotion": 5}, "promotion.not_object"),
        ({"promotion": {"from": NOW_MS}}, "promotion.price.missing"),
        ({"promotion": {"price": "x"}}, "promotion.price.not_number"),
        ({"promotion": {"price": 1, "until": NOW_MS}}, "promotion.unknown_field"),
        ({"promotion": {"price": 1, "from": NOW_MS, "to": NOW_MS}}, "promotion.to.not_after_from"),
        ({"promotion": {"price": 1, "to": "soon"}}, "promotion.to.not_time"),
        ({"deleted": 1}, "deleted.not_boolean"),
        ({"deleted": True, "stock": 0}, "deleted.not_alone"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field_and_rule(change: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read({"product_id": "p1", **change})
    assert caught.value.code == code
    assert caught.value.detail.startswith((code.rpartition(".")[0], "'titel'", "a record with deleted"))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "product.not_json"),
        (b"[1]", "product.not_object"),
        (b" " * (MAX_PRODUCT_BYTES + 1), "product.too_large"),
    ],
)
def test_bytes_that_are_no_record(raw: bytes, code: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        decode_product(raw, received_ms=NOW_MS, default_currency="EUR")
    assert caught.value.code == code


def test_a_blob_is_read_back_and_others_are_told_apart() -> None:
    for known in (KnownProduct(), KnownProduct(FULL, tuple(range(11)), NOW_MS, NOW_MS)):
        found = unpack_product(pack_product(known))
        assert found == known
        check_product(found)
    later = pack_product(KnownProduct()).replace(b"\x95\x01", b"\x95\x02", 1)
    with pytest.raises(LaterFormat, match="format 2, this version reads up to 1"):
        unpack_product(later)
    for spoiled in (
        KnownProduct(FULL._replace(title=3)),  # type: ignore[arg-type]  # as somebody else might write it
        KnownProduct(FULL._replace(price=Amount(1, "XXX"))),
        KnownProduct(fact_ms=(0,)),
    ):
        with pytest.raises(ValueError, match=r"a product has|parts of other types"):
            check_product(unpack_product(pack_product(spoiled)))
