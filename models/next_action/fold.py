"""The fold over a visitor's actions, and one row of numbers per action."""

from math import cos, log, log1p, pi, sin
from zlib import crc32

from contracts.carts import CART, change_cart
from contracts.visitor import Action, CartLine, Visitor
from models.next_action.prices import PriceLevel

MAX_STEPS = 32
"""A model sees the last so many actions of a session. What looks back over single actions looks back over as
many: two such windows fit into the recent actions that a live visitor keeps, so that encoding it from them
gives what encoding its whole history would."""

Row = tuple[float, ...]

_ONE_HOT = tuple(tuple(float(rank == i) for i in range(5)) for rank in range(5))
LOG1P = tuple(log1p(n) for n in range(1_024))
DAY_MINUTES = tuple((sin(m * pi / 720), cos(m * pi / 720)) for m in range(1_440))
_NEVER_MS = -(1 << 62)
_NEVER = -(1 << 30)


def log1p_of(n: int) -> float:
    return LOG1P[n] if n < 1_024 else log1p(n)


def hash_id(text: str | None) -> int:
    """A number for the name of a product, category or brand, 1 to 2^32; 0 for none.

    One that begins with a null character stands for a name that was not told, and is none too.
    """
    return 0 if not text or text[:1] == "\x00" else crc32(text.encode()) + 1


def hash_names(action: Action) -> tuple[int, int, int]:
    """`hash_id` of the product, the category and the brand."""
    return hash_id(action.product_id), hash_id(action.category), hash_id(action.brand)


class Fold:
    """The current session of one visitor, action by action.

    Begins with an unknown visitor; `resume` puts what a live state has settled before the first action. A gap
    over `idle_ms` starts a new session: its rows begin anew, history and cart live on.
    """

    def __init__(self, *, idle_ms: int, level: PriceLevel) -> None:
        self.idle_ms = idle_ms
        self.level = level.mean_log if level.weight else None
        self.number = 0
        self.first_ms = self.start_ms = self.last_ms = _NEVER_MS
        self.session_gap_ms = 0
        self.counts = self.previous = self.history = [0, 0, 0, 0, 0]
        self.cart: dict[str, CartLine] = {}
        self.cart_units = self.cart_value = 0
        self.rows: list[Row] = []
        # One entry per action since the beginning; `first` is the index of the session's first.
        self.first = 0
        self.products: list[str] = []
        self.categories: list[str | None] = []
        self.brands: list[str | None] = []
        self.ranks: list[int] = []
        self.gaps: list[int] = []
        self.times_ms: list[int] = []
        self.price_logs: list[float] = []  # 0 where there is no price
        self.has_price: list[bool] = []
        # Index of the latest action of a kind or with a name, in this session and in earlier ones.
        self.rank_at = [_NEVER] * 5
        self.product_at: dict[str, int] = {}
        self.category_at: dict[str | None, int] = {}
        self.brand_at: dict[str | None, int] = {}
        self.earlier_at: dict[str, int] = {}

    def resume(self, visitor: Visitor, actions: list[Action]) -> None:
        """Begin with what lies before `actions`, the recent ones of `visitor`, which come next."""
        self.first_ms = visitor.totals.first_ms
        base = visitor.base
        if base is None:
            return
        counts = list(base.counts)
        earlier = [total - own for total, own in zip(visitor.totals.counts, counts, strict=True)]
        for action in actions:
            earlier[action.rank] -= 1
        self.number, self.start_ms, self.last_ms = base.number, base.start_ms, base.last_ms
        self.counts, self.history = counts, earlier
        self.cart = dict(base.cart)
        for line in base.cart.values():
            self.cart_units += line.quantity
            self.cart_value += line.quantity * (line.price_minor or 0)

    def push(self, action: Action, *, with_row: bool = True) -> None:
        """Take the visitor's next action. Rows are the costly part: leave out those that nobody will read."""
        at_ms, rank, _, product, quantity, price_minor, currency, category, brand, _ = action
        gap_ms = at_ms - self.last_ms
        if gap_ms > self.idle_ms:
            self._begin_session(at_ms, gap_ms)
            gap_ms = 0
        self.last_ms = at_ms
        self.gaps.append(gap_ms)
        self.times_ms.append(at_ms)
        self.counts[rank] += 1
        was_in_cart = product in self.cart
        if rank >= CART:
            self._change_cart(at_ms, rank, product, quantity, price_minor, currency)
        price_log = log(price_minor) if price_minor else 0.0
        if with_row:
            self.rows.append(self._row(action, price_log, was_in_cart))
        index = len(self.products)
        self.rank_at[rank] = self.product_at[product] = index
        self.category_at[category] = self.brand_at[brand] = index
        self.products.append(product)
        self.categories.append(category)
        self.brands.append(brand)
        self.ranks.append(rank)
        self.price_logs.append(price_log)
        self.has_price.append(bool(price_minor))

    def steps(self) -> list[Row]:
        """The last `MAX_STEPS` rows of the session, oldest first, each as long as `STEP_FEATURES`."""
        return self.rows[-MAX_STEPS:]

    def _begin_session(self, at_ms: int, gap_ms: int) -> None:
        self.history = [before + own for before, own in zip(self.history, self.counts, strict=True)]
        self.previous, self.counts = self.counts, [0, 0, 0, 0, 0]
        if self.number:
            self.session_gap_ms = gap_ms
        elif self.first_ms == _NEVER_MS:
            self.first_ms = at_ms
        self.number += 1
        self.start_ms = at_ms
        self.first = len(self.products)
        self.rows = []
        self.rank_at = [_NEVER] * 5
        if self.product_at:
            self.earlier_at.update(self.product_at)
            self.product_at, self.category_at, self.brand_at = {}, {}, {}

    def _change_cart(
        self,
        at_ms: int,
        rank: int,
        product: str,
        quantity: int,
        price_minor: int | None,
        currency: str | None,
    ) -> None:
        cart = self.cart
        before = cart.get(product)
        lost = change_cart(cart, at_ms, rank, product, quantity, price_minor, currency)
        after = cart.get(product)
        if before is not None:
            self.cart_units -= before[0]
            self.cart_value -= before[0] * (before[1] or 0)
        if lost is not None:
            self.cart_units -= lost[0]
            self.cart_value -= lost[0] * (lost[1] or 0)
        if after is not None:
            self.cart_units += after[0]
            self.cart_value += after[0] * (after[1] or 0)
        if not cart:  # an order without lines takes out everything
            self.cart_units = self.cart_value = 0

    def _row(self, action: Action, price_log: float, was_in_cart: bool) -> Row:
        at_ms, rank, _, product, quantity, price_minor, _, category, brand, _ = action
        index, low = len(self.products), self.first
        if index - low > MAX_STEPS:
            low = index - MAX_STEPS
        product_at = self.product_at.get(product, _NEVER)
        category_at = _NEVER if category is None else self.category_at.get(category, _NEVER)
        brand_at = _NEVER if brand is None else self.brand_at.get(brand, _NEVER)
        against_session = against_shop = against_value = 0.0
        if price_minor:
            if self.level is not None:
                against_shop = price_log - self.level
            if priced := sum(self.has_price[low:]):
                against_session = price_log - sum(self.price_logs[low:]) / priced
        value = self.cart_value
        if value and self.level is not None:
            against_value = log(value) - self.level
        return (
            *_ONE_HOT[rank],
            log1p(self.gaps[-1] / 1e3),
            log1p((at_ms - self.start_ms) / 1e3),
            log1p_of(sum(self.counts)),
            product_at == index - 1,
            category_at == index - 1,
            brand_at == index - 1,
            product_at >= low,
            category_at >= low,
            brand_at >= low,
            self.earlier_at.get(product, _NEVER) >= index - MAX_STEPS,
            LOG1P[self.products[low:].count(product)] if product_at >= low else 0.0,
            category is not None,
            brand is not None,
            price_minor is not None and price_minor > 0,
            against_session,
            against_shop,
            was_in_cart,
            LOG1P[len(self.cart)],
            value > 0,
            against_value,
            log1p_of(quantity),
            *DAY_MINUTES[at_ms // 60_000 % 1_440],
        )
