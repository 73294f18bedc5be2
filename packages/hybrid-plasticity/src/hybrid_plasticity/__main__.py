"""`python -m hybrid_plasticity`."""

from hybrid_plasticity.cli import main

main()
