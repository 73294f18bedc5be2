"""`python -m sleep_replay`."""

from sleep_replay.cli import main

main()
