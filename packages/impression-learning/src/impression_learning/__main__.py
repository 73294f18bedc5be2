"""`python -m impression_learning`."""

from impression_learning.cli import main

main()
