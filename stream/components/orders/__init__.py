"""Orders as a whole: each once in the shop's totals, whoever told of it, and what went back of it."""
