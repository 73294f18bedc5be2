"""Training: order, independence of networks, clipping, divergence, going on from a checkpoint."""

import copy

import pytest
import torch

from sharpwave_shared.errors import DivergenceError
from sharpwave_shared.seeding import Streams
from sleep_replay.model import VAE
from sleep_replay.parameters import Learning
from sleep_replay.train import Trainer, _clip, own_images


def generators(seeds: tuple[int, ...], epoch: int = 0) -> list[torch.Generator]:
    return [Streams(s).torch("t", epoch) for s in seeds]


def trainer(seeds: tuple[int, ...], learning: Learning | None = None, double: bool = True):
    vae = VAE(len(seeds), 4).initialise([Streams(s).torch("w") for s in seeds])
    return Trainer(vae.double() if double else vae, learning or Learning())


def images(count: int, networks: int) -> torch.Tensor:
    drawn = torch.rand(count, 28, 28, generator=torch.Generator().manual_seed(0))
    return drawn.double().expand(networks, -1, -1, -1)


def test_a_network_learns_the_same_alone_and_among_others() -> None:
    alone, together = trainer((7,)), trainer((3, 7, 9))
    for epoch in range(2):
        alone.epoch(own_images(images(6, 1)), 6, generators((7,), epoch))
        together.epoch(own_images(images(6, 3)), 6, generators((3, 7, 9), epoch))
    for one, many in zip(alone.vae.parameters(), together.vae.parameters(), strict=True):
        torch.testing.assert_close(one[0], many[1], rtol=1e-6, atol=1e-9)


def test_same_seed_same_numbers_bit_by_bit() -> None:
    runs = []
    for _ in range(2):
        t = trainer((0, 1), double=False)
        t.epoch(own_images(images(5, 2).float()), 5, generators((0, 1)))
        runs.append(t.vae.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_every_image_is_seen_once_and_in_order_unless_shuffled() -> None:
    seen: list[torch.Tensor] = []

    def source(index: torch.Tensor) -> torch.Tensor:
        seen.append(index.clone())
        return torch.zeros(*index.shape, 28, 28, dtype=torch.float64)

    t = trainer((0, 1), Learning(batch_size=4))
    t.epoch(source, 10, generators((0, 1)), shuffle=False)
    assert [tuple(i.shape) for i in seen] == [(2, 4), (2, 4), (2, 2)]
    assert torch.equal(torch.cat(seen, 1), torch.arange(10).expand(2, -1))
    seen.clear()
    t.epoch(source, 10, generators((0, 1)))
    order = torch.cat(seen, 1)
    assert torch.equal(order.sort(1).values, torch.arange(10).expand(2, -1))
    assert not torch.equal(order[0], order[1])


def test_training_goes_on_from_its_state() -> None:
    whole, first = trainer((0, 1)), trainer((0, 1))
    source = own_images(images(5, 2))
    for epoch in range(2):
        whole.epoch(source, 5, generators((0, 1), epoch))
    first.epoch(source, 5, generators((0, 1), 0))
    second = trainer((5, 6))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.epoch(source, 5, generators((0, 1), 1))
    for expected, got in zip(whole.vae.parameters(), second.vae.parameters(), strict=True):
        assert torch.equal(expected, got)


@pytest.mark.parametrize(("given", "dropout"), [(None, 0.1), (0.0, 0.0), (0.5, 0.5)])
def test_dropout_scales_what_it_keeps(given: float | None, dropout: float) -> None:
    t = trainer((0, 1), Learning(input_dropout=given))
    ((_, _, keep),) = t._batches(1, generators((0, 1)), shuffle=True)
    assert keep.shape == (2, 1, 28, 28)
    kept = keep > 0
    torch.testing.assert_close(keep[kept], torch.full_like(keep[kept], 1 / (1 - dropout)))
    assert abs(kept.double().mean() - (1 - dropout)) < 0.05  # 1568 pixels: five s.d.


def test_clipping_bounds_each_network_on_its_own() -> None:
    t = trainer((0, 1), Learning(clip_norm=1.0))
    for parameter in t.vae.parameters():
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[0] = 1e-4  # below the bound as a whole
        parameter.grad[1] = 3.0  # far above it
    gradients = [p.grad for p in t.vae.parameters()]
    _clip(gradients, 1.0)
    flat = [g.flatten(1) for g in gradients]
    norms = torch.stack([g.norm(dim=1) for g in flat]).norm(dim=0)
    assert norms[0] == pytest.approx(1e-4 * sum(g.shape[1] for g in flat) ** 0.5)
    assert norms[1] == pytest.approx(1.0)


def test_divergence_names_the_step() -> None:
    t = trainer((0, 1), Learning(lr=1e30), double=False)
    source = own_images(images(15, 2).float())
    with pytest.raises(DivergenceError, match=r"network .* not finite after step 15"):
        t.epoch(source, 15, [*generators((0, 1))])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_what_the_cpu_learns() -> None:
    cpu, gpu = trainer((0, 1)), trainer((0, 1))
    gpu = Trainer(gpu.vae.to("cuda"), Learning())
    source = own_images(images(6, 2))
    on_gpu = own_images(images(6, 2).cuda())
    cpu.epoch(source, 6, generators((0, 1)))
    gpu.epoch(on_gpu, 6, generators((0, 1)))
    for expected, got in zip(cpu.vae.parameters(), gpu.vae.parameters(), strict=True):
        torch.testing.assert_close(expected, got.cpu(), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_a_small_model_learns_to_reconstruct(blobs) -> None:
    t = trainer((0,), Learning(batch_size=4, lr=2e-3), double=False)
    x = blobs(60, 0).float()[None] / 255
    first = t.epoch(own_images(x), 60, generators((0,), 0))
    for epoch in range(1, 60):
        last = t.epoch(own_images(x), 60, generators((0,), epoch))
    assert last < 0.6 * first
