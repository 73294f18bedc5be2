"""Two-factor synaptic consolidation: robust memory through pruning and homeostatic scaling.

Synaptic weights are products of factors with a homeostatic norm. Replaying weakly imprinted
memories then maximises robustness to noise, prunes most synapses, and scales the rest.

    from synaptic_consolidation import Networks

    data = Networks(n=100, loads=(0.2,), max_steps=20_000).run(seeds=range(3))
    data["mean_density"].mean("seed")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
