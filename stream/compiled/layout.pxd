"""Where things are in the named tuples of the contract and the stream, and what ranks event types have."""

cdef enum:
    # `EventType.rank`
    VIEW, FAVORITE, CART, REMOVE, PURCHASE
    RANKS
cdef enum:
    # Places in `contracts.events.Event`
    EVENT_ID, EVENT_TYPE, EVENT_TIME, EVENT_USER, EVENT_PRODUCT, EVENT_SESSION, EVENT_PRICE, EVENT_CURRENCY
    EVENT_QUANTITY, EVENT_CATEGORY, EVENT_BRAND, EVENT_ORDER
cdef enum:
    # Places in `stream.batch.step.Entry`
    ENTRY_OFFSET, ENTRY_AT, ENTRY_BROKER, ENTRY_EVENT, ENTRY_LETTER
cdef enum:
    # Places in `contracts.visitor.Visitor`
    TOTALS, BASE, HEAD, TAIL, ENDED, TIMER, SEEN, ORDERS, PREDICTIONS
cdef enum:
    # Places in `contracts.visitor.Session`
    HEAD_ID, HEAD_NUMBER, HEAD_START, HEAD_LAST, HEAD_COUNTS, HEAD_UNITS, HEAD_REVENUE, HEAD_CART
cdef enum:
    # Places in `contracts.visitor.Totals`
    TOTALS_FIRST, TOTALS_LAST, TOTALS_COUNTS, TOTALS_UNITS, TOTALS_REVENUE
cdef enum:
    # Places in `contracts.visitor_alerts.VisitorAlerts`
    ALERTS_SESSION, ALERTS_START, ALERTS_EPISODES, ALERTS_ARMED, ALERTS_INTENT, ALERTS_QUIET, ALERTS_LOOKED, ALERTS_LIVE, ALERTS_OPEN
