"""The command line `storepulse`: every command is a thin function that imports its package when it runs."""

from ops.cli.application import app as app
from ops.cli.application import main as main
