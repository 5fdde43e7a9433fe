"""What a sender should change, by the code of a refusal."""

REMEDIES = {
    "partition.not_of_key": "set Kafka's default partitioner (murmur2) in the producer (docs/events.md "
    "shows how "
    "for each client); then run `storepulse rejected replay --code partition.not_of_key`",
    "key.not_user_id": "key records by their user_id",
    "record.unreadable": "check the producer's compression and the broker's disks; the dead letters have "
    "the offsets",
    "event.unreadable": "internal error: please report it with the output of `storepulse rejected show ID`",
    "event_time.in_future": "set the sender's clock (NTP), or send event_time in epoch milliseconds",
    "event_time.not_time": "send epoch milliseconds or RFC 3339",
    "event_time.naive": "send times with an offset, such as Z",
    "product_id.missing": "send the product's id; an order without products needs its order_id",
    "items.product_id.missing": "give each product of the order product_id, id or sku",
    "user_id.missing": "send userId or anonymousId (Segment), client_id (GA4), user_id (our own)",
    "currency.unknown": "send the currency as an ISO 4217 code, such as EUR",
    "currency.mixed": "send one event per currency",
    "total.not_number": "send amounts as plain numbers, without currency signs and thousands separators",
    "value.not_number": "send amounts as plain numbers, without currency signs and thousands separators",
    "price.not_number": "send prices as plain numbers, without currency signs and thousands separators",
    "items.price.not_number": "send prices as plain numbers, without currency signs and thousands separators",
    "items.quantity.not_integer": "send whole quantities; send goods sold by weight as one unit with its "
    "price",
    "purchase.not_allowed": "send purchases from a server, or let the key send them: docs/access.md",
}
