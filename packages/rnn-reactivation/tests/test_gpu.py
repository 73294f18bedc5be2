"""What needs an accelerator: the captured graph."""

import pytest
import torch

from rnn_reactivation.configuration import load_configuration
from rnn_reactivation.recurrence import initialise
from rnn_reactivation.train import Batch, Learner, train

SMALL = ["rnn.hidden_size=16", "task.length=12", "trainer.batch_size=6"]


@pytest.mark.gpu
@pytest.mark.parametrize(
    "name",
    [
        "spatial_navigation/noisy_biased",
        "spatial_navigation/noisy_biased_gru",
        "head_direction/noisy_unbiased",
    ],
)
def test_the_graph_does_what_the_steps_do(name: str) -> None:
    configuration = load_configuration(name, SMALL)
    parameters = initialise(configuration, [0, 1], "cuda")
    captured, stepwise = (Batch([configuration] * 2, [0, 1], "cuda") for _ in range(2))
    stepwise._captures = False
    for epoch in (1, 2, 3):
        captured.draw(epoch)
        stepwise.draw(epoch)
        loss, gradients = captured.learn(parameters)
        wanted_loss, wanted = stepwise.learn(parameters)
        torch.testing.assert_close(loss, wanted_loss)
        torch.testing.assert_close(gradients, wanted)
        for name, values in parameters.items():
            values.sub_(gradients[name])


@pytest.mark.gpu
def test_networks_as_one_batch_learn_as_alone() -> None:
    noisy = load_configuration("head_direction/noisy_unbiased", SMALL)
    biased = load_configuration("head_direction/no-noise_biased", SMALL)
    both, alone = ([Learner(noisy, 0), Learner(noisy, 1), Learner(biased, 1)] for _ in range(2))
    train(both, 5, device="cuda")
    for learner in alone:
        train([learner], 5, device="cuda")
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(torch.tensor(one.losses), torch.tensor(other.losses))
