"""Log lines of the long-running processes."""

import logging
import time


def configure_logging() -> None:
    """Everything from INFO up to stderr, in UTC; the talkative Kafka clients only from WARNING."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s",
        datefmt="%FT%T",
    )
    for name in ("kafka", "aiokafka", "faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
