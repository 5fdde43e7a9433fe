"""The catalogue: products as facts of the shop, with indexes by which they are listed."""
