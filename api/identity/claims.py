"""What events of a key that others can read may say."""

from api.identity.principal import Principal
from contracts.events import EventType, Statement
from contracts.fields import InvalidEvent


def check_claim(principal: Principal, event_type: EventType | Statement) -> None:
    """Refuses a purchase of a key that may not send any: what a key in a page or an app sends is a claim.

    Raises `InvalidEvent` with the code `purchase.not_allowed`, to be reported for that one event.
    """
    if event_type in (EventType.PURCHASE, EventType.REFUND) and not principal.may_purchase:
        raise InvalidEvent(
            "purchase.not_allowed",
            "this key may not send purchases: send them from a server with its own key",
        )
