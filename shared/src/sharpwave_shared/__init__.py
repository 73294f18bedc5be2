"""What the Sharpwave packages share: experiments, parameters, runs, seeding, devices, data.

    from sharpwave_shared import open_run

    run = open_run("results/sleep-replay/...")
    run.data, run.measures(), run.verify()

Exported here is what a notebook or the science of a package needs; it is imported when it is first
used (PEP 562), as listed in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
