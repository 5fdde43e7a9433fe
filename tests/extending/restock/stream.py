"""What a worker does for this extension."""

from restock.brands import BRANDS
from restock.bulk import BulkRule
from restock.cover import STOCK_COVER
from restock.next_purchase import NextPurchase
from restock.stock import StockLevels
from restock.wishes import Wishes
from stream.alerts.registry import register_rule
from stream.registry import Registry


def register(registry: Registry) -> None:
    """Register all of it."""
    registry.add_visitor_field(BRANDS)
    registry.add(StockLevels())
    registry.add(Wishes())
    registry.jobs.add(STOCK_COVER)
    registry.add_slot(NextPurchase())
    register_rule(BulkRule.of)
