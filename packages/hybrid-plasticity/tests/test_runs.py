"""Training into the folders of the original: what lies there, kill and resume, longer runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hybrid_made import TINY, contents, events, no_figures

from hybrid_plasticity.experiments.train import Train
from hybrid_plasticity.folders import mastered_by, read_model
from sharpwave_shared import journal
from sharpwave_shared.errors import InvalidInputError
from sharpwave_shared.execution import Cell, run_cells
from sharpwave_shared.experiment import Options
from sharpwave_shared.reporting import Reporter
from sharpwave_shared.results import Run, open_run
from sharpwave_shared.testing import KilledError

pytestmark = pytest.mark.usefixtures("_no_figures")
SEEDS = (0, 1)
TRAIN = Train(**TINY)
OTHER = TRAIN.replaced(plastic_types=("A", "M"))


def run(
    root: Path,
    experiments: Sequence[Train] = (TRAIN,),
    seeds: Sequence[int] = SEEDS,
    **options: Any,
) -> list[Run]:
    """Train as commands do, those of equal shape as one batch."""
    cells = [Cell(experiment, tuple(seeds)) for experiment in experiments]
    return run_cells(cells, Options(out=root, **options), Reporter(quiet=True))


@contextmanager
def killed(number: int, *, before: bool) -> Iterator[None]:
    """Have checkpoints after every iteration, and a kill right before or after one of them."""
    calls, save = 0, journal.Journal.save

    def saving(self: journal.Journal, *arguments: Any, **more: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number and before:
            raise KilledError
        save(self, *arguments, **more)
        if calls == number:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):  # noqa: PT012
        patch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)
        patch.setattr(journal.Journal, "save", saving)
        yield


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("uninterrupted")
    with no_figures() as pictured:
        run(root)
    # Pictures are those of the first network.
    assert [(model.seed, model.interval) for model in pictured] == [(0, 1), (0, 2)]
    return root


def test_a_run_leaves_what_it_should(uninterrupted: Path) -> None:
    directory = uninterrupted / "Memo" / TRAIN.folder
    data = open_run(directory).data
    assert data["seed"].values.tolist() == list(SEEDS)
    assert data["mastered_intervals"].values.tolist() == [2, 2]
    for seed in SEEDS:
        own, folder = data.sel(seed=seed), directory / f"seed_{seed}"
        for interval in (1, 2):
            model = read_model(folder / f"R_{interval}" / "Model")
            assert (model.configuration.folder, model.interval) == (TRAIN.folder, interval)
            logged = own.isel(row=(own["R"] == interval).values)
            assert logged["iteration"].values[-1] == own["mastered"].sel(interval=interval)
            written = events(folder / f"R_{interval}" / "Training_Log")
            for name in ("loss", "accuracy"):
                values = [value for _, tag, value in written if tag == name]
                assert values == logged[name].values.tolist()
            norms = [value for _, tag, value in written if tag == "W_1/norm"]
            assert norms == logged["norm"].sel(parameter="W_1").values.tolist()
    assert not list(directory.rglob("*.png"))


@pytest.mark.parametrize(("number", "before"), [(1, True), (3, False)])
def test_a_run_that_was_killed_ends_with_the_same_numbers(
    tmp_path: Path, uninterrupted: Path, number: int, before: bool
) -> None:
    with killed(number, before=before):
        run(tmp_path)
    assert not (tmp_path / "Memo" / TRAIN.folder / "results.nc").exists()
    run(tmp_path, resume=True)
    assert contents(tmp_path) == contents(uninterrupted)


def test_several_runs_that_were_killed_between_their_checkpoints(tmp_path: Path) -> None:
    pair = [e.replaced(max_r=100, budget=8) for e in (TRAIN, OTHER)]
    # The second run has one checkpoint less.
    with killed(6, before=True):
        run(tmp_path, pair, [0])
    for experiment, found in zip(pair, run(tmp_path, pair, [0], resume=True), strict=True):
        assert found.data.identical(experiment.run(0))


def test_a_finished_run_can_be_extended(tmp_path: Path, uninterrupted: Path) -> None:
    for more in ({"max_r": 1, "budget": 1}, {}):
        run(tmp_path, [TRAIN.replaced(**more)], resume=True)
    assert contents(tmp_path) == contents(uninterrupted)
    # Smaller limits leave it as it is.
    (same,) = run(tmp_path, [TRAIN.replaced(max_r=1)], resume=True)
    assert same.data["mastered_intervals"].values.tolist() == [2, 2]


def test_a_new_run_removes_what_an_older_one_left(tmp_path: Path) -> None:
    run(tmp_path, seeds=[0])
    left = tmp_path / "Memo" / TRAIN.folder / "R_1"
    assert (left / "Model").exists()
    (again,) = run(tmp_path, [TRAIN.replaced(budget=1)], [0], force=True)
    assert not left.exists()
    assert again.data["iterations"].values.tolist() == [1]
    assert again.data["mastered"].size == 0
    assert np.isnan(again.data["R"].values).all()
    with pytest.raises(InvalidInputError, match="no network there has mastered any interval"):
        mastered_by(again)


def test_a_run_that_ends_at_once_can_be_gone_on_with(tmp_path: Path) -> None:
    (ended,) = run(tmp_path, [TRAIN.replaced(time_limit=1e-9)], [4])
    assert ended.data["iterations"].values.tolist() == [0]
    assert ended.data["ended"].values.tolist() == ["the time limit"]
    (more,) = run(tmp_path, [TRAIN.replaced(max_r=1)], [4], resume=True)
    assert more.data["mastered_intervals"].values.tolist() == [1]


def test_what_has_used_its_iterations_up_wants_no_more(tmp_path):
    network = {"hidden_dims": (5,), "plastic_types": ("M",), "hetero_rates": (1.0,), "vec_len": 5}
    training = Train(**network, max_r=3, max_iterations=3)
    training.run(0, out=tmp_path)
    (record,) = tmp_path.rglob("run.json")
    run = open_run(record.parent)
    assert not training.wants_more(run)
    assert training.replaced(max_iterations=4).wants_more(run)
    assert not training.replaced(max_iterations=4, budget=3).wants_more(run)
