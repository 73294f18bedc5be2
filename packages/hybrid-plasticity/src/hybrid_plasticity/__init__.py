"""Hybrid synaptic plasticity: networks whose synapses change while they run.

    from hybrid_plasticity import Train

    data = Train(hidden_dims=(50, 50), max_r=2).run(seeds=range(3))
    data["mastered"]                        # iterations that each R took, for each seed

They are meta-trained to recognise scenes seen R scenes ago in an endless stream. Names are imported
when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
