"""The pure steps of one visitor: sessions, carts, orders."""
