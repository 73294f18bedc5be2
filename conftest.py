"""Two processes run the tests, each with one thread: a process of its own would take all cores.

How long an example of a property takes says nothing on a busy machine, so it has no deadline.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
