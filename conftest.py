"""Two processes run the tests, each with one thread: a process of its own would take all cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
