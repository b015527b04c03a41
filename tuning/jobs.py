"""Start, watch and stop the processes that work on a run; they outlive the app that started them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psutil

from dialogues.dialogue import Problem
from tuning import line
from tuning.engine import PATIENT, engine_of
from tuning.runs import (
    CANCELLED,
    CANCELLED_WORDS,
    FINISHED,
    INTERRUPTED,
    MEASURE,
    RUNNING,
    TRAIN,
    WAITING,
    Run,
    RunRefused,
    all_runs,
    delete,
)

ROOT = Path(__file__).resolve().parents[1]
GRACE = 30.0  # seconds between asking a process to stop and killing it
TRACKERS = {
    "trackio": ("trackio",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
}
# Side by side, at most: a run that is measured takes memory and a core beside those that are trained.
MEASURERS = max(2, (os.cpu_count() or 2) // 2)
LOOK = 2.0  # seconds between two looks at the line


def enqueue(run: Run, seconds: float | None = None, trackers: Sequence[str] = ()) -> None:
    """Stand in the line, and begin at once where nobody is ahead. `seconds` is what the run is expected to take.

    `trackers` (of TRACKERS) are told the curves, too. Raises RunRefused unless the run is new and they are installed.
    """
    check_trackers(trackers)
    if trackers:
        run.track(trackers)
    with line.locked(run.folder.parent):
        if run.progress().state != WAITING or run.ticket() or run.alive(TRAIN):
            raise _refusal("This run has been started already.", "Make a new one from the same plan.")
        line.join(run, seconds)
    advance(run.folder.parent)


def check_trackers(names: Sequence[str]) -> None:
    """Raises RunRefused unless all are of TRACKERS and installed. Ask before a run is made for them."""
    if missing := [name for name in names if not any(map(find_spec, TRACKERS.get(name, ())))]:
        known = f"Known are {', '.join(TRACKERS)}; pip install the one you want."
        raise _refusal(f"There is no tracker {', '.join(missing)} on this machine.", known)


def resume(run: Run) -> None:
    """Stand in the line again, to go on from the last whole checkpoint. Raises RunRefused with the reason why not."""
    with line.locked(run.folder.parent):
        if why := no_resume(run):
            raise _refusal(why, "Start a new run from a plan that differs.")
        line.join(run, None)
    advance(run.folder.parent)


def no_resume(run: Run) -> str:
    """Why a run cannot be resumed, in a sentence; "" where it can."""
    progress = run.progress()
    if progress.state == FINISHED:
        return "The run is finished: there is nothing left to do."
    if not progress.over or run.alive(TRAIN):
        return "The run is still going on."
    return progress.no_resume


def advance(root: Path) -> None:
    """Start the next runs in the line, and what is to be measured, while there is room. Whoever comes by may call it."""
    _measure_put_off(root)
    if not line.order(root):
        return
    room, full = engine_of(root).room()  # before the lock: a cluster may take long to answer
    with line.locked(root):
        while waiting := line.order(root):
            if len(line.training(root)) >= room:
                _tell(waiting[0], full)
                return
            line.note_turn(waiting[0])
            start(waiting[0])
            start_measuring(waiting[0])


def watch(root: Path) -> None:
    """Keep the line moving from a thread of this process: what was waiting when the app ended goes on with it."""

    def attempt(work: Callable[[Path], None]) -> None:
        try:
            work(root)
        except Exception:  # a run that is deleted meanwhile, a disk that is full: the next look comes soon
            logging.exception("The line of runs could not be looked at; it is looked at again.")

    def look() -> None:
        attempt(_follow_again)
        while True:
            attempt(advance)
            time.sleep(LOOK)

    threading.Thread(target=look, daemon=True).start()


def start(run: Run) -> None:
    """Train in a process of its own, which goes on when this one ends. Raises RunRefused unless `waiting`."""
    if run.progress().state != WAITING or run.alive(TRAIN):
        raise _refusal("This run has been started already.", "Make a new one from the same plan.")
    _launch(run, TRAIN, engine_of(run.folder.parent).command(run))


def measure(run: Run) -> None:
    """`start_measuring` for whoever does not hold the line: two at once would measure twice."""
    with line.locked(run.folder.parent):
        start_measuring(run)


def start_measuring(run: Run) -> None:
    """Measure the run's checkpoints as they become whole; nothing happens if that is going on.

    Where MEASURERS are at work already it is put off, and `advance` comes back to it.
    """
    if run.alive(MEASURE):
        return
    if sum(other.alive(MEASURE) for other in all_runs(run.folder.parent)) >= MEASURERS:
        run.put_off(MEASURE)
        return
    _launch(run, MEASURE, [*PATIENT, sys.executable, "-m", "evaluation.measure", str(run.folder.resolve())])


def cancel(run: Run, grace: float = GRACE) -> None:
    """Ask the training to stop after its current step; returns at once. It is killed when `grace` seconds are over.

    A run that has not begun is cancelled on the spot; one that is over is left as it is.
    """
    with line.locked(run.folder.parent):  # so that its turn does not come at this moment
        process = run.process(TRAIN)
        if process is None and run.progress().state == WAITING:
            message = CANCELLED_WORDS if run.state().step else "Cancelled before it began."
            run.write_state(replace(run.state(), state=CANCELLED, message=message))
    if process is None:
        return
    with suppress(psutil.NoSuchProcess):  # it ended just now
        process.terminate()
    threading.Thread(target=_kill_after, args=(run, process, grace), daemon=True).start()


def discard(run: Run) -> None:
    """Stop what is still measuring a run that is over, and delete the run. Raises RunRefused while it is going on."""
    measuring = run.process(MEASURE)
    if measuring and run.progress().over:
        with suppress(psutil.NoSuchProcess):
            measuring.kill()  # it only ever writes whole files, and they go too
        measuring.wait(GRACE)
    delete(run)


def wait(run: Run, timeout: float) -> bool:
    """Wait at most `timeout` seconds for the training process to be gone; True when it is."""
    end = time.monotonic() + timeout
    while run.alive(TRAIN) and time.monotonic() < end:
        time.sleep(0.1)
    return not run.alive(TRAIN)


def _measure_put_off(root: Path) -> None:
    if any(run.is_put_off(MEASURE) for run in all_runs(root)):
        with line.locked(root):  # so that nothing is measured twice at once
            for run in all_runs(root):
                if run.is_put_off(MEASURE):
                    start_measuring(run)


def _tell(run: Run, message: str) -> None:
    if run.state().message != message:
        run.write_state(replace(run.state(), message=message))


def _follow_again(root: Path) -> None:
    """Stand in again for runs that an engine went on with while this machine was down."""
    gone = [run for run in all_runs(root) if run.progress().state == INTERRUPTED and engine_of(root).keeps(run)]
    with line.locked(root):
        for run in gone:
            if run.progress().state == INTERRUPTED:  # nobody else stood in meanwhile
                _launch(run, TRAIN, engine_of(root).command(run))
                start_measuring(run)


def _launch(run: Run, job: str, command: Sequence[str]) -> None:
    with run.log(job).open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    run.note_process(job, process.pid)
    threading.Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie


def _kill_after(run: Run, process: psutil.Process, grace: float) -> None:
    try:
        process.wait(grace)
    except psutil.TimeoutExpired:
        with suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait(GRACE)
    if run.state().state in (WAITING, RUNNING):  # it went before it could write: killed, or still starting up
        run.write_state(replace(run.state(), state=CANCELLED, message=CANCELLED_WORDS, eta_seconds=None))


def _refusal(reason: str, remedy: str) -> RunRefused:
    return RunRefused(Problem(reason, remedy, field="run"))
