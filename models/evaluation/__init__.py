"""How good predictions are, whatever is predicted: figures, calibration, differences, splits by time."""
