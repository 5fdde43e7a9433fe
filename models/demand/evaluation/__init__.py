"""How good demand forecasts are: rolling origins, figures, rows to compare with."""
