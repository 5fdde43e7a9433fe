"""Ours: the worker as `storepulse worker` runs it."""

import logging
import sys

from contracts.settings import Settings
from stream.worker import run

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(run(Settings()))
