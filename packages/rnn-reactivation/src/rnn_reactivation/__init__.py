"""Offline reactivation in recurrent networks.

Noisy recurrent networks that learn to track a variable from its changes revisit, without any
input, the states of their waking life.

    from rnn_reactivation import TrainHeadDirection

    small = TrainHeadDirection(rnn={"hidden_size": 32}, trainer={"n_epochs": 300})
    small.run(seeds=range(3))["error"]                     # rad^2, of each seed

Names are imported when they are first used, as listed in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
