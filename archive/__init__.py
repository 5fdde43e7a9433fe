"""The archive: follows the topics and keeps their records in parquet files, without the deleted."""
