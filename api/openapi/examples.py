"""What examples of answers have in common in the OpenAPI document."""

REQUEST_ID = "2e7234a5aa284421a95ec4855aa78760"
AS_OF = {"as_of": "2025-10-09T08:55:20.250000Z", "mode": "live"}
NO_COUNTS = {"view": 0, "favorite": 0, "cart": 0, "remove_from_cart": 0, "purchase": 0}
EUR = {"currency": "EUR", "amount_minor": 25990, "amount": "259.90"}
