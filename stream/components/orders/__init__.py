"""Orders as a whole: each once in the shop's totals, whoever sent it, and what went back of it."""
