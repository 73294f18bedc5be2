"""Sleep schedules for a generative model of memory.

How the alternation of NREM (replay of recent experience) and REM (training on the model's own
samples) decides whether learning new memories overwrites old ones.

    from sleep_replay import Schedule

    results = Schedule(num_cycles=10, num=50).run(seeds=range(3))
    results["error"].sel(data_set="old").mean("seed")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
