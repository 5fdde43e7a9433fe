"""Numbers as shops send them."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.numbers import MAX_MAJOR, MAX_QUANTITY, Breach, parse_price_minor, parse_quantity


@given(st.integers(0, MAX_MAJOR * 100))
def test_a_price_of_cents_is_exact_as_string_and_as_float(cents: int) -> None:
    text = f"{cents // 100}.{cents % 100:02}"
    assert parse_price_minor(text, 2) == parse_price_minor(float(text), 2) == cents


@given(st.decimals(0, MAX_MAJOR, places=6), st.sampled_from([0, 2, 3]))
def test_digits_below_the_minor_unit_are_rounded_half_even(price: Decimal, digits: int) -> None:
    expected = int(price.scaleb(digits).to_integral_value(ROUND_HALF_EVEN))
    assert parse_price_minor(f"{price:f}", digits) == expected


@given(st.one_of(st.floats(), st.text(max_size=12), st.integers(), st.booleans(), st.none()))
def test_anything_else_is_refused_with_a_rule(value: object) -> None:
    for parse in (lambda v: parse_price_minor(v, 2), parse_quantity):
        number, rule = 0, "none"
        try:
            number = parse(value)
        except Breach as exc:
            rule = exc.rule
        assert type(number) is int
        assert number >= 0
        assert rule.replace("_", "").isalpha()


@pytest.mark.parametrize(
    ("value", "rule"), [(MAX_QUANTITY + 1, "too_large"), (0, "not_positive"), (float("inf"), "not_finite")]
)
def test_a_quantity_out_of_bounds_names_its_rule(value: object, rule: str) -> None:
    with pytest.raises(Breach) as caught:
        parse_quantity(value)
    assert caught.value.rule == rule
