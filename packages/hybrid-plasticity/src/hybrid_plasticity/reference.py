"""The plain transcription: one network, one stream, one frame after another, with its matrices P.

The tests' oracle and the benchmark's baseline. Automatic differentiation gives its gradients.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor


def plain_network(
    network_type: str,
    plastic_types: tuple[str, ...],
    parameters: Mapping[str, Tensor],
    frames: Float[Tensor, "frames entries"],
) -> tuple[Float[Tensor, "frames outputs"], list[list[Tensor]], list[list[Tensor]]]:
    """Run a network over a stream.

    Parameters
    ----------
    network_type
        `Nonl_RO`, `Memo`, `Dyn_RO` or `Stack`.
    plastic_types
        `M` or `A` for each plastic layer.
    parameters
        `W_1`, `b_1`, `eta_1`, `lambda_1` and so on, `W_out`, `b_out`, of one network.
    frames
        The stream.

    Returns
    -------
    outputs
        y after the sigmoid, at every frame.
    hidden
        h_1, h_2, ... at every frame.
    plastic
        P_1, P_2, ... after every frame.
    """
    L = sum(name.startswith("W_") for name in parameters) - 1
    P = [torch.zeros_like(parameters[f"W_{i}"]) for i in range(1, L + 1)]
    outputs, hidden, plastic = [], [], []
    for x in frames:
        h, before = [], x
        for i in range(L):
            if network_type == "Stack":
                before = x
            W, b = parameters[f"W_{i + 1}"], parameters[f"b_{i + 1}"]
            if i >= len(plastic_types):
                after = torch.sigmoid(W @ before + b)
            else:
                if plastic_types[i] == "A":
                    drive = (W + P[i]) @ before + b
                else:
                    drive = (W * P[i]) @ before + W @ before + b
                last = i == L - 1 and network_type != "Nonl_RO"
                after = (
                    torch.sigmoid(drive) if last or network_type == "Stack" else torch.tanh(drive)
                )
                change = parameters[f"eta_{i + 1}"] * torch.outer(after, before)
                if network_type == "Dyn_RO" and i > 0:
                    P[i] = change
                else:
                    P[i] = torch.sigmoid(parameters[f"lambda_{i + 1}"]) * P[i] + change
            h.append(after)
            before = after
        read = torch.cat(h) if network_type == "Stack" else h[-1]
        outputs.append(torch.sigmoid(parameters["W_out"] @ read + parameters["b_out"]))
        hidden.append(h)
        plastic.append(list(P))
    return torch.stack(outputs), hidden, plastic
