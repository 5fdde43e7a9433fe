"""What all resources share in speaking HTTP: errors, limits, headers, metrics, logs, parameters, bodies."""
