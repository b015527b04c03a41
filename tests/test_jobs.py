"""The child process: it outlives whoever started it, can be stopped, and its end is told truthfully."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues.dialogue import Dataset
from prompting.model import Decoding, load
from prompting.source import find
from tuning.jobs import ROOT, cancel, start, wait
from tuning.plan import propose
from tuning.runs import CANCELLED, FAILED, FINISHED, INTERRUPTED, RUNNING, TRAIN, Progress, Run, RunRefused, create

PATIENCE = 120.0  # seconds: a busy machine takes long to import torch


@pytest.fixture
def make_run(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Callable[..., Run]:
    def make(method: str = "full", data: Dataset = chats, **changes: object) -> Run:
        plan = propose(chats, str(tiny_model), method, "quick", precision="fp32", learning_rate=1e-3)
        return create(tmp_path / "runs", replace(plan, **changes), data, "test", "owner")  # type: ignore[arg-type]

    return make


def follow(run: Run, until: Callable[[Progress], bool]) -> Progress:
    """Poll as the screen does."""
    end = time.monotonic() + PATIENCE
    while not until(progress := run.progress()):
        assert time.monotonic() < end, (progress, run.log_tail())
        time.sleep(0.1)
    return progress


def started_by_another(run: Run) -> None:
    """Start the run from a process that ends at once, as an app that is closed does."""
    code = (
        "import sys; from pathlib import Path; from tuning import jobs, runs; jobs.start(runs.Run(Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, str(run.folder)], cwd=ROOT, check=True, timeout=PATIENCE)


@pytest.mark.slow
def test_a_run_outlives_its_starter_and_leaves_whole_checkpoints(make_run: Callable[..., Run]) -> None:
    run, twin = make_run(), make_run()
    started_by_another(run)
    start(twin)
    progress = follow(run, lambda progress: progress.over)
    assert (progress.state, progress.step, progress.eta_seconds) == (FINISHED, 21, 0.0), run.log_tail()
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [0, 5, 10, 16, 21]
    assert [step for step, _ in progress.loss_curve] == list(range(1, 22))
    assert [step for step, _ in progress.validation_curve] == [0, 5, 10, 16, 21]
    assert progress.validation_curve[-1][1] < progress.validation_curve[0][1] / 2  # it learnt
    assert progress.tokens_per_second and progress.tokens_per_second > 0
    assert "step 21  loss" in run.log_tail()
    assert wait(run, PATIENCE)
    last = load(run.checkpoint_source(21))
    assert last.name == "checkpoint 21" and len(last.summarize(["Hello"], Decoding(5))) == 1
    follow(twin, lambda progress: progress.over)
    assert twin.progress().loss_curve == progress.loss_curve
    assert find(twin.checkpoint_source(21)).digest == last.digest  # the seed decides all
    with pytest.raises(RunRefused, match="started already"):
        start(run)


@pytest.mark.slow
def test_lora_leaves_small_adapters_that_load_merged(make_run: Callable[..., Run], tiny_model: Path) -> None:
    run = make_run("lora", precision="bf16")
    start(run)
    progress = follow(run, lambda progress: progress.over)
    assert progress.state == FINISHED, run.log_tail()
    assert progress.validation_curve[-1][1] < progress.validation_curve[0][1]
    source = find(run.checkpoint_source(21))
    assert source.adapter and source.folder == tiny_model
    assert not list(source.adapter.glob("model*"))
    prompt, decoding = "Customer: My lamp is broken.", Decoding(12)
    base, tuned = (load(run.checkpoint_source(step)).summarize([prompt], decoding) for step in (0, 21))
    assert base[0].text != tuned[0].text


@pytest.mark.slow
def test_a_cancelled_run_says_so_and_a_killed_one_is_interrupted(make_run: Callable[..., Run]) -> None:
    stopped, killed = make_run(steps=100_000), make_run(steps=100_000)
    for run in (stopped, killed):
        start(run)
    for run in (stopped, killed):
        progress = follow(run, lambda progress: progress.step >= 3)
        assert progress.state == RUNNING and progress.eta_seconds and progress.eta_seconds > 0
    cancel(stopped)
    process = killed.process(TRAIN)
    assert process
    process.send_signal(signal.SIGKILL)
    assert wait(stopped, PATIENCE) and wait(killed, PATIENCE)
    assert stopped.progress().state == CANCELLED and stopped.progress().eta_seconds is None
    assert killed.progress().state == INTERRUPTED and killed.progress().step >= 3
    assert [checkpoint.step for checkpoint in stopped.checkpoints()] == [0]


def test_a_child_that_does_not_listen_is_killed_and_the_run_is_cancelled(make_run: Callable[..., Run]) -> None:
    run = make_run()
    start(run)
    process = run.process(TRAIN)
    assert process
    process.suspend()
    cancel(run, grace=0.2)
    assert wait(run, 10)
    assert follow(run, lambda progress: progress.over).state in (CANCELLED, INTERRUPTED)
    assert follow(run, lambda progress: progress.state == CANCELLED)


def test_a_run_cancelled_while_it_starts_up_is_cancelled(make_run: Callable[..., Run]) -> None:
    run = make_run()
    start(run)
    cancel(run)
    assert follow(run, lambda progress: progress.state == CANCELLED)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [0]


def test_a_run_that_has_not_begun_is_cancelled_on_the_spot(make_run: Callable[..., Run]) -> None:
    run = make_run()
    cancel(run)
    assert run.progress().state == CANCELLED
    with pytest.raises(RunRefused):
        start(run)


@pytest.mark.slow
def test_a_failed_run_tells_why_in_a_sentence(make_run: Callable[..., Run], tmp_path: Path) -> None:
    gone = make_run(base_model=str(tmp_path / "gone"))
    wild = make_run(learning_rate=1e30)
    for run in (gone, wild):
        start(run)
    progress = follow(gone, lambda progress: progress.over)
    assert progress.state == FAILED and progress.message.startswith("model: There is no model at")
    progress = follow(wild, lambda progress: progress.over)
    assert progress.state == FAILED and "no number any more" in progress.message
