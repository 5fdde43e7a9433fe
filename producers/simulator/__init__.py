"""A synthetic shop: catalogue, visitors with tastes, promotions, stock, and the events they make."""
