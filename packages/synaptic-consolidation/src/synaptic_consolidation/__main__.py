"""`python -m synaptic_consolidation`."""

from synaptic_consolidation.cli import main

main()
