"""Run the command line as `python -m gradbox.cli`."""

from gradbox.cli import main

main()
