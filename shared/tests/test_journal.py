"""Checkpoints: loops and parts go on where they were cut off, and nothing is written too often."""

import numpy as np
import pytest
import torch
import xarray as xr

from sharpwave_shared import files, journal
from sharpwave_shared.errors import SharpwaveError
from sharpwave_shared.journal import CHECKPOINT_INTERVAL, Journal, together
from sharpwave_shared.reporting import Reporter


class Sum:
    """Adds up steps."""

    def __init__(self):
        self.value = 0
        self.tensor = torch.zeros(2)

    def state_dict(self):
        return {"value": self.value, "tensor": self.tensor}

    def load_state_dict(self, state):
        self.value = state["value"]
        self.tensor.copy_(state["tensor"])

    def add(self, step):
        self.value += step
        self.tensor += step


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(journal, "time", clock)
    return clock


@pytest.fixture
def written(monkeypatch):
    """Names of the files that are written."""
    names = []
    write_tree = files.write_tree

    def writing(path, tree):
        names.append(path.stem)
        write_tree(path, tree)

    monkeypatch.setattr(files, "write_tree", writing)
    return names


def work(folder, total, *, until=None, what="adding"):
    """Add up, up to a step at which it is killed."""
    total_so_far, done = Sum(), []
    for step in Journal(folder=folder).steps(what, total, total_so_far):
        if step == until:
            raise InterruptedError
        total_so_far.add(step)
        done.append(step)
    return total_so_far, done


# --- Loops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [0, 1, 5, 9])
def test_a_loop_goes_on_where_it_was_cut_off(until, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)
    with pytest.raises(InterruptedError):
        work(tmp_path, 10, until=until)
    counted, done = work(tmp_path, 10)
    assert done == list(range(until, 10))
    assert counted.value == 45
    assert counted.tensor.tolist() == [45, 45]


def test_a_finished_loop_is_not_done_again_and_can_be_extended(tmp_path):
    work(tmp_path, 5)
    assert Journal(folder=tmp_path).position("adding") == 5
    counted, done = work(tmp_path, 5)
    assert (counted.value, done) == (10, [])
    counted, done = work(tmp_path, 7)
    assert (counted.value, done) == (21, [5, 6])


def test_a_loop_that_has_gone_further_than_asked_is_refused(tmp_path):
    work(tmp_path, 5)
    with pytest.raises(SharpwaveError, match="adding: 5 steps are done already, more than 4"):
        work(tmp_path, 4)


def test_an_empty_loop(tmp_path):
    assert work(tmp_path, 0)[1] == []
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_before_the_interval_has_passed(tmp_path, clock, written):
    counted = Sum()
    for step in Journal(folder=tmp_path).steps("adding", 100, counted):
        counted.add(step)
        clock.now += CHECKPOINT_INTERVAL / 10
        assert len(written) == step // 10
    # The last step is due by the clock: what is kept then is not written once more at the end.
    assert len(written) == 10


def test_the_end_of_a_loop_is_kept(tmp_path, clock, written):
    work(tmp_path, 3)
    assert written == ["adding"]


@pytest.mark.parametrize("kind", ["save", "once", "other loop", "part"])
def test_every_kind_of_save_resets_the_clock(kind, tmp_path, clock, written):
    whole = Journal(folder=tmp_path)
    clock.now += 0.9 * CHECKPOINT_INTERVAL
    assert not whole.due()
    match kind:
        case "save":
            whole.save("something", {"x": 1})
        case "once":
            whole.once("something", lambda part: 1)
        case "other loop":
            list(whole.steps("something", 1, Sum()))
        case "part":
            whole.part("part").save("something", 1)
    assert len(written) == 1
    clock.now += 0.9 * CHECKPOINT_INTERVAL
    assert not whole.due()
    clock.now += 0.1 * CHECKPOINT_INTERVAL
    assert whole.due()
    assert whole.part("part").due()


def test_every_written_file_is_told(tmp_path):
    told = []
    kept = Journal(folder=tmp_path, saved=lambda: told.append(1))
    kept.once("part", lambda part: list(part.steps("adding", 2, Sum())))
    assert len(told) == 2


def test_two_loops_of_the_same_name_are_refused(tmp_path):
    kept = Journal(folder=tmp_path)
    list(kept.steps("adding up", 1, Sum()))
    with pytest.raises(ValueError, match="are called 'adding_up'"):
        list(kept.steps("adding_up", 1, Sum()))
    list(kept.part("a").steps("adding up", 1, Sum()))
    list(kept.part("b").steps("adding up", 1, Sum()))
    with pytest.raises(ValueError, match="are called 'adding up'"):
        list(kept.part("a").steps("adding up", 1, Sum()))


def test_two_parts_of_the_same_name_are_refused():
    kept = Journal()
    kept.once("part", lambda part: 1)
    with pytest.raises(ValueError, match="are called 'part'"):
        kept.once("part", lambda part: 2)
    with pytest.raises(ValueError, match="are called 'part'"):
        list(kept.steps("part", 1, Sum()))


def test_progress_is_shown_from_where_it_goes_on(tmp_path, capsys):
    work(tmp_path, 5)
    for _ in Journal(Reporter(), tmp_path).steps("adding", 10, Sum(), weight=3):
        pass
    assert "adding: 30/30" in capsys.readouterr().err


# --- Parts ---------------------------------------------------------------------------------------


def test_once(tmp_path):
    calls = []

    def compute(part):
        calls.append(1)
        list(part.steps("adding", 3, Sum()))
        assert [path.stem for path in part.folder.iterdir()] == ["a_part.adding"]
        return {"x": torch.ones(2), "y": (1, "z")}

    for _ in range(2):
        result = Journal(folder=tmp_path).once("a part", compute)
        assert result["x"].tolist() == [1, 1]
        assert result["y"] == (1, "z")
    assert len(calls) == 1
    names = [path.name for path in (tmp_path / "checkpoints").iterdir()]
    assert names == ["a_part.safetensors"], "the part's own checkpoints are gone"


def test_a_part_without_a_result_is_done_once(tmp_path):
    calls = []
    for _ in range(2):
        assert Journal(folder=tmp_path).once("nothing", calls.append) is None
    assert len(calls) == 1


def test_a_loop_that_ends_early_within_a_part_is_done_once(tmp_path):
    def until_far(part):
        counted = Sum()
        for step in part.steps("adding", 100, counted):
            counted.add(step)
            if counted.value > 10:
                break
        return step

    first = Journal(folder=tmp_path).once("far", until_far)
    assert first == 5
    again = Journal(folder=tmp_path).once("far", lambda part: pytest.fail("done again"))
    assert again == first


def test_a_part_that_is_cut_off_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)
    seen = []

    def compute(part, *, until):
        counted = Sum()
        for step in part.steps("adding", 6, counted):
            if step == until:
                raise InterruptedError
            seen.append(step)
            counted.add(step)
        return counted.value

    with pytest.raises(InterruptedError):
        Journal(folder=tmp_path).once("p", lambda part: compute(part, until=4))
    assert Journal(folder=tmp_path).once("p", lambda part: compute(part, until=None)) == 15
    assert seen == list(range(6))


def test_parts_within_parts_do_not_meet(tmp_path):
    whole = Journal(folder=tmp_path)
    for outer in "ab":
        for inner in "ab":
            whole.part(outer).part(inner).save("x", outer + inner)
    whole.save("a", "whole")
    again = Journal(folder=tmp_path)
    assert again.load("a") == "whole"
    assert [again.part(o).part(i).load("x") for o in "ab" for i in "ab"] == ["aa", "ab", "ba", "bb"]
    again.part("a").forget()
    assert again.part("a").part("b").load("x") is None
    assert again.part("b").part("a").load("x") == "ba"
    assert again.load("a") == "whole"
    again.forget()
    assert not (tmp_path / "checkpoints").exists()


def test_a_journal_without_a_folder_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nothing = Journal()
    assert nothing.once("part", lambda part: 3) == 3
    counted = Sum()
    for step in nothing.steps("adding", 4, counted):
        counted.add(step)
    assert counted.value == 6
    nothing.save("x", {"y": 1})
    assert nothing.load("x") is None
    assert nothing.position("adding") == 0
    assert not nothing.due()
    nothing.forget()
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_one_error(tmp_path):
    work(tmp_path, 3)
    (path,) = (tmp_path / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SharpwaveError, match=r"adding\.safetensors"):
        work(tmp_path, 3)


def test_datasets_are_kept(tmp_path):
    data = xr.Dataset(
        {"x": ("seed", np.array([1.0, np.nan], np.float32), {"units": "m"})},
        {"seed": [3, 4], "name": ("seed", ["a", "bc"])},
        {"note": "n", "count": 3},
    )
    Journal(folder=tmp_path).save("data", [data])
    (again,) = Journal(folder=tmp_path).load("data")
    assert again.identical(data)
    assert again["x"].dtype == np.float32


# --- Several runs as one batch -------------------------------------------------------------------


def batch(folders, total, until=None, done=None):
    """Add up in several runs; note the steps that are done."""
    sums = [Sum() for _ in folders]
    journals = [Journal(folder=folder) for folder in folders]
    for step in together(journals, "adding", total, sums):
        if step == until:
            raise InterruptedError
        if done is not None:
            done.append(step)
        for number, counted in enumerate(sums):
            counted.add(step * (number + 1))
    return [counted.value for counted in sums]


def test_a_batch_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)
    folders = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(InterruptedError):
        batch(folders, 5, until=3)
    assert batch(folders, 5) == [10, 20]


def test_runs_of_a_batch_are_kept_at_the_same_step(tmp_path, clock, written):
    folders = [tmp_path / "a", tmp_path / "b"]
    sums = [Sum(), Sum()]
    journals = [Journal(folder=folder) for folder in folders]
    for step in together(journals, "adding", 5, sums):
        clock.now += 4.0
        if step == 1:  # the first one has written something else meanwhile
            journals[0].save("other", 1)
    assert written.count("adding+next") == 2 * 2
    for folder in folders:
        assert Journal(folder=folder).position("adding") == 5


@pytest.mark.parametrize("lives", range(1, 20))
def test_a_batch_that_is_killed_between_two_files_goes_on(lives, tmp_path, monkeypatch):
    """Wherever the kill comes, no more than a step is lost."""
    folders = [tmp_path / name for name in "abc"]
    monkeypatch.setattr(journal, "CHECKPOINT_INTERVAL", 0.0)
    left, before = lives, []
    functions = {name: getattr(Journal, name) for name in ("save", "_replace")}

    def mortal(name):
        def function(*args):
            nonlocal left
            left -= 1
            if left < 0:
                raise InterruptedError
            return functions[name](*args)

        return function

    with monkeypatch.context() as patch:
        for name in functions:
            patch.setattr(Journal, name, mortal(name))
        with pytest.raises(InterruptedError):
            batch(folders, 5, done=before)
    after = []
    assert batch(folders, 5, done=after) == [10, 20, 30]
    assert after == list(range(after[0], 5))
    assert after[0] in (len(before) - 1, len(before))
    assert not list(tmp_path.rglob("*+next*"))


def test_runs_that_are_unequally_far_start_where_all_have_been(tmp_path):
    work(tmp_path / "a", 3)
    assert batch([tmp_path / "a", tmp_path / "b"], 5) == [10, 20]
    assert batch([tmp_path / "b", tmp_path / "a"], 5) == [20, 10], "nothing is left to do"


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        (
            {"value": 3, "tensor": torch.zeros(1)},
            r"tensor is a tensor of float32 \(1\), not .*\(2\)",
        ),
        ({"value": 3, "tensor": torch.zeros(2).double()}, "float64 .*, not a tensor of float32"),
        ({"value": 3, "tensor": [0.0, 0.0]}, "tensor is of type list, not a tensor"),
        ({"value": "3", "tensor": torch.zeros(2)}, "value is of type str, not a number"),
        ({"value": 3}, "state holds value, not tensor, value"),
        ({"value": 3, "tensor": torch.zeros(2), "more": 1}, "more, tensor, value, not"),
        ([], "state holds no names"),
    ],
)
def test_a_state_of_another_form_is_refused(state, complaint, tmp_path):
    Journal(folder=tmp_path).save("adding", {"step": 1, "state": state})
    total = Sum()
    with pytest.raises(SharpwaveError, match=rf"adding.safetensors: .*{complaint}"):
        list(Journal(folder=tmp_path).steps("adding", 3, total))
    assert total.value == 0


def test_what_grows_may_have_any_length(tmp_path):
    fresh = {"rows": [], "curve": np.zeros(0), "kept": None, "parts": [np.zeros(2), {"a": 1.5}]}
    found = {"rows": [1], "curve": np.zeros(4), "kept": "x", "parts": [np.ones(2), {"a": 1}]}
    files.require_form(found, fresh, "x")
    files.require_form(np.zeros((4, 3)), np.zeros((2, 3)), "x")
    for place, part in (
        ("curve", np.zeros(4, int)),
        ("parts", [np.ones(2)]),
        ("parts", [np.ones(1), {"a": 2.5}]),
        ("parts", [np.ones((2, 1)), {"a": 2.5}]),
    ):
        with pytest.raises(SharpwaveError, match=place):
            files.require_form(found | {place: part}, fresh, "x")
