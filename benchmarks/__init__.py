"""Benchmarks on real Apache Kafka and Redis: throughput, scaling, delay, memory, and where the time goes."""
