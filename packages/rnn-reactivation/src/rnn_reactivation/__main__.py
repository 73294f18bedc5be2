"""`python -m rnn_reactivation`."""

from rnn_reactivation.cli import main

main()
