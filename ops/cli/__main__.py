"""`python -m ops.cli`: the command line without the installed script."""

from ops.cli.application import main

main()
