"""`python -m ops.cli`: the command line without the installed script."""

from ops.cli import main

main()
