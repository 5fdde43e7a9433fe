"""Sends a view and an order with ga4mp, which has Google's host built in: send.py URL KEY CLIENT."""

import logging
import sys

from ga4mp import GtagMP

logging.basicConfig(level=logging.INFO)
_, url, key, client = sys.argv
sender = GtagMP(measurement_id="G-1A2B3C4D5E", api_secret=key, client_id=client)
sender._base_domain = f"{url}/mp/collect"
view = sender.create_new_event(name="view_item")
view.set_event_param("items", [{"item_id": "p1", "price": 10, "quantity": 2}])
order = sender.create_new_event(name="purchase")
order.set_event_param("transaction_id", f"o-{client}")
order.set_event_param("currency", "EUR")
order.set_event_param("value", 20)
order.set_event_param("items", [{"item_id": "p1", "price": 10, "quantity": 2}])
sender.send(events=[view, order])
