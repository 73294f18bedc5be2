"""Impression learning: online representation learning with local synaptic plasticity.

A temporal Helmholtz machine whose neurons compare what the stimulus drives with what the circuit
predicts, alternating between the two within tens of milliseconds.

    from impression_learning import Standard

    data = Standard(steps=20_000).run(seeds=range(5))
    data["loss"]  # of each seed, at points of learning
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
