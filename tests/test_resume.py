"""Whatever ends a child, what is shown afterwards is true, no torn checkpoint is offered, and resuming ends with the same losses."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dialogues.dialogue import Dataset
from tuning import jobs
from tuning.plan import propose
from tuning.runs import CANCELLED, FAILED, FINISHED, INTERRUPTED, WAITING, Progress, Run, RunRefused, create

pytestmark = pytest.mark.slow
PATIENCE = 120.0
# Where a child is struck: (module, what is called there, at which call)
STAGES = {
    "while it loads the model": ("tuning.train:trainable", 1),
    "in the first validation": ("tuning.trainer:Tuner.prediction_step", 1),
    "between two checkpoints": ("tuning.reporter:Reporter.on_step_end", 8),
    "inside a checkpoint, after the weights": ("tuning.trainer:Tuner._save_optimizer_and_scheduler", 2),
    "inside a checkpoint, before it is whole": ("tuning.runs:Run.seal", 2),
    "after a checkpoint, before its validation": ("tuning.reporter:Reporter.on_save", 2),
}


def strike(folder: str, where: str, call: int, number: int) -> None:
    """Train as `python -m tuning.train` does; before that call of that function, the signal comes."""
    import importlib

    from tuning import train

    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    inner, calls = getattr(owner, name), [0]

    def struck(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), number)
        return inner(*args, **kwargs)

    setattr(owner, name, struck)
    train.main(folder)


def finish(folder: str) -> None:
    from tuning import train

    train.main(folder)


@pytest.fixture(scope="module")
def processes() -> Iterator[Any]:
    """Children that are forked from a process which has the libraries loaded already: seconds become tenths."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tuning.train"])
    yield context


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, chats: Dataset) -> Callable[..., Run]:
    root = tmp_path_factory.mktemp("resume")

    def make(method: str = "full", home: Path = root, **changes: Any) -> Run:
        plan = propose(chats, str(tiny_model), method, "quick", precision="fp32")
        return create(home, replace(plan, **changes), chats, "test", "owner")

    return make


def child(processes: Any, work: Callable[..., None], run: Run, *args: Any) -> int:
    process = processes.Process(target=work, args=(str(run.folder), *args))
    process.start()
    process.join(PATIENCE)
    return int(process.exitcode)


@pytest.fixture(scope="module")
def unbroken(make_run: Callable[..., Run], processes: Any, tiny_model: Path) -> dict[str, Progress]:
    assert '"dropout_rate": 0.1' in (tiny_model / "config.json").read_text()  # the random numbers have to go on, too
    found = {}
    for method in ("full", "lora"):
        run = make_run(method)
        assert child(processes, finish, run) == 0
        found[method] = run.progress()
        assert found[method].state == FINISHED, run.progress().message
    return found


def same(ours: Progress, theirs: Progress) -> None:
    for mine, other in ((ours.loss_curve, theirs.loss_curve), (ours.validation_curve, theirs.validation_curve)):
        assert [step for step, _ in mine] == [step for step, _ in other]
        assert [value for _, value in mine] == pytest.approx([value for _, value in other], abs=1e-6)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked to stop"])
def test_a_run_that_was_struck_is_resumed_to_the_same_losses(
    stage: str, number: int, make_run: Callable[..., Run], processes: Any, unbroken: dict[str, Progress]
) -> None:
    run = make_run()
    child(processes, strike, run, *STAGES[stage], number)
    assert run.progress().state == (INTERRUPTED if number == signal.SIGKILL else CANCELLED)
    for point in run.checkpoints()[1:]:
        assert (run.checkpoint_folder(point.step) / "model.safetensors").stat().st_size > 100_000
    assert jobs.no_resume(run) == ""
    since = run.resume_step()
    assert since in (0, 5, 10) and (since > 0 or "checkpoint" not in stage)
    run.queue_up(1, None)
    assert run.progress().state == WAITING and run.progress().step == since
    assert child(processes, finish, run) == 0
    assert run.progress().state == FINISHED
    assert [point.step for point in run.checkpoints()] == [0, 5, 10, 16, 21]
    same(run.progress(), unbroken["full"])
    leftovers = {path.name for path in run.folder.rglob("*") if path.suffix in (".pt", ".pth")}
    assert not leftovers, "a finished run keeps nothing that only training needs"


def test_a_lora_run_goes_on_in_the_same_way_with_the_real_command(
    make_run: Callable[..., Run], processes: Any, unbroken: dict[str, Progress]
) -> None:
    run = make_run("lora")
    child(processes, strike, run, "tuning.reporter:Reporter.on_step_end", 13, signal.SIGKILL)
    assert run.progress().state == INTERRUPTED and run.resume_step() == 10
    jobs.resume(run)
    assert jobs.wait(run, PATIENCE) and run.progress().state == FINISHED, run.log_tail()
    same(run.progress(), unbroken["lora"])
    with pytest.raises(RunRefused, match="nothing left to do"):
        jobs.resume(run)


def test_memory_that_runs_out_is_told_and_the_run_can_go_on(
    make_run: Callable[..., Run], processes: Any, unbroken: dict[str, Progress]
) -> None:
    run = make_run()
    child(processes, starve, run)
    progress = run.progress()
    assert progress.state == FAILED and "ran out of memory" in progress.message, progress
    assert run.resume_step() == 5 and jobs.no_resume(run) == ""
    run.queue_up(1, None)
    child(processes, finish, run)
    same(run.progress(), unbroken["full"])


def starve(folder: str) -> None:
    """From the seventh step on this process gets no more memory than it holds."""
    import resource

    import psutil
    import torch

    from tuning import reporter, train

    inner = reporter.Reporter.on_step_end

    def step(self: Any, args: Any, state: Any, control: Any, **rest: Any) -> None:
        inner(self, args, state, control, **rest)
        if state.global_step == 7:
            held = psutil.Process().memory_info().vms
            resource.setrlimit(resource.RLIMIT_AS, (held + 2**20, resource.RLIM_INFINITY))
            torch.ones(2**28)  # what a larger batch would ask for

    reporter.Reporter.on_step_end = step  # type: ignore[method-assign]
    train.main(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1700k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes a privileged user")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_and_leaves_no_torn_checkpoint(
    make_run: Callable[..., Run], processes: Any, small_disk: Path, unbroken: dict[str, Progress]
) -> None:
    run = make_run(home=small_disk)
    child(processes, finish, run)
    progress = run.progress()
    assert progress.state == FAILED and "disk is full" in progress.message, progress
    whole = [point.step for point in run.checkpoints()]
    assert 0 < len(whole) < 5 and len(list((run.folder / "checkpoints").iterdir())) == len(whole) - 1
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run.queue_up(1, None)
    child(processes, finish, run)
    same(run.progress(), unbroken["full"])


@pytest.mark.parametrize(("changes", "words"), [({"learning_rate": 1e30}, "no number any more")])
def test_a_loss_that_is_no_number_stops_the_run_at_once_and_for_good(
    make_run: Callable[..., Run], processes: Any, changes: dict[str, Any], words: str
) -> None:
    run = make_run(**changes)
    child(processes, finish, run)
    progress = run.progress()
    assert progress.state == FAILED and words in progress.message and progress.step <= 3
    with pytest.raises(RunRefused, match="same way again"):
        jobs.resume(run)


def test_a_run_that_changed_nothing_says_so(make_run: Callable[..., Run], processes: Any) -> None:
    run = make_run(learning_rate=1e-12)
    child(processes, finish, run)
    assert run.progress().state == FINISHED
    assert "word for word what the untouched model writes" in run.progress().message


def test_what_cannot_be_saved_and_read_back_ends_the_run_before_its_first_step(
    make_run: Callable[..., Run], processes: Any
) -> None:
    run = make_run()
    child(processes, spoil, run)
    progress = run.progress()
    assert progress.state == FAILED and "came back changed" in progress.message
    assert progress.step == 0 and progress.loss_curve == () and run.checkpoints()[1:] == []


def spoil(folder: str) -> None:
    """A disk that gives back other bytes than it took."""
    from tuning import train, trainer

    inner = trainer.Keeper.write

    def write(self: Any, folder: Path) -> None:
        inner(self, folder)
        with (folder / "model.safetensors").open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\x01\x02\x03\x04")

    trainer.Keeper.write = write  # type: ignore[method-assign]
    train.main(folder)


def test_a_tracker_is_told_the_curves_where_it_was_asked_for_and_only_there(
    make_run: Callable[..., Run], processes: Any
) -> None:
    pytest.importorskip("tensorboardX")
    told, untold = make_run(), make_run()
    told.track(["tensorboard"])
    for run in (told, untold):
        assert child(processes, finish, run) == 0
    assert list(told.folder.rglob("events.*")) and not list(untold.folder.rglob("events.*"))
    with pytest.raises(RunRefused, match="no tracker nobody"):
        jobs.enqueue(make_run(), trackers=["nobody"])
