"""What a worker does for this extension."""

from restock.brands import BRANDS
from restock.cover import STOCK_COVER
from restock.next_purchase import NextPurchase
from restock.stock import StockLevels
from restock.wishes import Wishes
from stream.registry import Registry


def register(registry: Registry) -> None:
    """Register all of it."""
    registry.add_visitor_field(BRANDS)
    registry.add(StockLevels())
    registry.add(Wishes())
    registry.jobs.add(STOCK_COVER)
    registry.add_slot(NextPurchase())
