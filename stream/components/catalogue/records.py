"""From Kafka records to updates of products: every record becomes one or a dead letter, none is dropped."""

from collections.abc import Iterable
from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.fields import InvalidEvent, identifier
from contracts.product_records import ProductUpdate, check_product_key, decode_product
from contracts.record_keys import check_place
from stream.batch.records import Record, UnreadableRecord
from stream.components.component import Source
from stream.components.letters import letter_of


class ProductRecord(NamedTuple):
    """One record of the topic on its way through the stream: an update or a dead letter."""

    record: Record
    source: Source
    update: ProductUpdate | None
    letter: DeadLetter | None = None

    @property
    def offset(self) -> int:
        """See `TopicItem`."""
        return self.record.offset

    @property
    def at_ms(self) -> int:
        """When the record came (epoch ms): its timestamp, which a producer may set, but not in the future."""
        return _came_ms(self.record, self.source)


def read_products(
    records: Iterable[Record], source: Source, *, partitions: int, default_currency: str
) -> list[ProductRecord]:
    """One item per record, in order; a record without a value removes the product in its key."""
    items = []
    for record in records:
        try:
            update = _update_of(record, _came_ms(record, source), default_currency)
            check_place(update.product_id, source.partition, partitions)
        except Exception as exc:  # the boundary: no record ends a worker, which would meet it again
            items.append(ProductRecord(record, source, None, letter_of(record, source, exc)))
        else:
            items.append(ProductRecord(record, source, update))
    return items


def _came_ms(record: Record, source: Source) -> int:
    return source.now_ms if record.timestamp < 0 else min(record.timestamp, source.now_ms)


def _update_of(record: Record, came_ms: int, default_currency: str) -> ProductUpdate:
    if isinstance(record, UnreadableRecord):
        raise InvalidEvent("record.unreadable", record.reason)
    if record.value is None:
        return ProductUpdate(_id_in(record.key), came_ms, removes=True)
    update = decode_product(record.value, received_ms=came_ms, default_currency=default_currency)
    check_product_key(record.key, update)
    return update


def _id_in(key: bytes | None) -> str:
    try:
        return identifier("product_id", (key or b"").decode())
    except UnicodeDecodeError:
        raise InvalidEvent("key.not_product_id", "the record's key must be a product_id in UTF-8") from None
