"""The line: one run trains at a time, the others wait in order, owners take turns, and nothing is lost with the app."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dialogues.dialogue import Dataset
from tuning import engine, jobs, line
from tuning.plan import propose
from tuning.runs import CANCELLED, FINISHED, MEASURE, RUNNING, TRAIN, WAITING, Run, RunRefused, State, create

PATIENCE = 240.0


@pytest.fixture
def make_run(tmp_path: Path, tiny_model: Path, chats: Dataset) -> Callable[..., Run]:
    def make(owner: str = "ann", **changes: object) -> Run:
        plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32")
        return create(tmp_path, replace(plan, **changes), chats, "test", owner)  # type: ignore[arg-type]

    return make


@pytest.fixture
def busy(make_run: Callable[..., Run]) -> Run:
    """A run of Ann's that trains as long as this process lives."""
    run = make_run()
    run.note_process(TRAIN, os.getpid())
    run.write_state(State(RUNNING, step=5, eta_seconds=100.0))
    with line.locked(run.folder.parent):
        line.note_turn(run)
    return run


def test_runs_wait_in_the_order_in_which_they_came(busy: Run, make_run: Callable[..., Run]) -> None:
    runs = [make_run() for _ in range(4)]
    for run in runs:
        jobs.enqueue(run, seconds=60.0)
    assert line.order(busy.folder.parent) == runs
    assert [line.place(run) for run in runs] == [line.Place(n + 1, 100.0 + 60.0 * n) for n in range(4)]
    assert line.place(busy) is None
    with pytest.raises(RunRefused, match="started already"):
        jobs.enqueue(runs[0])


def test_owners_take_turns(busy: Run, make_run: Callable[..., Run]) -> None:
    ann, ben, cleo = ([make_run(owner) for _ in range(3)] for owner in ("ann", "ben", "cleo"))
    for run in (*ann, *ben, *cleo):
        jobs.enqueue(run)
    assert line.order(busy.folder.parent) == [ben[0], cleo[0], ann[0], ben[1], cleo[1], ann[1], ben[2], cleo[2], ann[2]]
    assert line.place(ben[1]) == line.Place(4, None), "what takes unknown time makes the start unknown, not soon"


def test_whoever_waited_through_a_quiet_time_owes_no_turn(busy: Run, make_run: Callable[..., Run]) -> None:
    busy.write_state(State(FINISHED))
    first, second = make_run("ann", steps=100_000), make_run("ben")
    with line.locked(busy.folder.parent):
        line.join(first, None)
        line.join(second, None)
    assert line.order(busy.folder.parent) == [first, second]


def test_a_run_is_cancelled_while_it_waits(busy: Run, make_run: Callable[..., Run]) -> None:
    first, second = make_run(), make_run()
    jobs.enqueue(first)
    jobs.enqueue(second)
    jobs.cancel(first)
    assert first.progress().state == CANCELLED and line.place(first) is None
    assert line.place(second) == line.Place(1, 100.0)
    jobs.resume(first)
    assert line.place(first) == line.Place(2, None) and first.progress().state == WAITING


def test_where_several_train_side_by_side_nobody_knows_when_the_next_one_starts(
    busy: Run, make_run: Callable[..., Run]
) -> None:
    run = make_run()
    jobs.enqueue(run)
    engine.choose(run.folder.parent, "http://127.0.0.1:9")
    assert line.place(run) == line.Place(1, None)


def test_nobody_is_held_up_while_an_engine_is_asked_for_room(
    busy: Run, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def room(self: engine.Local) -> tuple[int, str]:
        with (busy.folder.parent / ".line.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where somebody holds it
        return 1, "asked"

    monkeypatch.setattr(engine.Local, "room", room)
    run = make_run()
    jobs.enqueue(run)
    assert run.progress().message == "asked"


def test_the_line_is_looked_at_again_after_whatever_went_wrong(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = make_run().folder / "ticket.json"
    ticket.write_text("no JSON")
    monkeypatch.setattr(jobs, "LOOK", 0.05)
    jobs.watch(ticket.parents[1])
    until(lambda: caplog.text.count("is looked at again") >= 2)
    ticket.unlink()


def test_no_more_runs_are_measured_side_by_side_than_the_machine_bears_and_the_others_follow(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MEASURERS", 1)
    first, second = make_run(), make_run()
    root = first.folder.parent
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    first.note_process(MEASURE, other.pid)
    jobs.measure(second)
    jobs.advance(root)
    assert second.is_put_off(MEASURE) and not second.alive(MEASURE)
    other.communicate()
    jobs.advance(root)
    assert second.alive(MEASURE) and not second.is_put_off(MEASURE)
    measuring = second.process(MEASURE)
    assert measuring
    measuring.kill()


@pytest.mark.slow
def test_of_twenty_starts_at_once_one_runs_and_nineteen_wait_in_order(make_run: Callable[..., Run]) -> None:
    runs = [make_run(steps=100_000) for _ in range(20)]
    code = "import sys; from pathlib import Path; from tuning import jobs, runs; [jobs.enqueue(runs.Run(Path(p))) for p in sys.argv[1:]]"

    def begin(some: list[Run]) -> None:
        folders = [str(run.folder) for run in some]
        subprocess.run([sys.executable, "-c", code, *folders], cwd=jobs.ROOT, check=True, timeout=PATIENCE)

    with ThreadPoolExecutor(4) as pool:  # four apps, five starts each
        list(pool.map(begin, [runs[start : start + 5] for start in range(0, 20, 5)]))
    root = runs[0].folder.parent
    alive = [run for run in runs if run.alive(TRAIN)]
    waiting = line.order(root)
    assert len(alive) == 1 and len(waiting) == 19 and line.training(root) == alive
    tickets = [run.ticket() or 0 for run in waiting]
    assert tickets == sorted(set(tickets))
    for run in waiting:
        jobs.cancel(run)
    jobs.cancel(alive[0])
    until(lambda: {run.progress().state for run in runs} == {CANCELLED})


@pytest.mark.slow
def test_the_line_moves_on_without_the_app_and_again_after_a_killed_child(make_run: Callable[..., Run]) -> None:
    first, second, third = make_run(), make_run(steps=100_000), make_run()
    code = "import sys; from pathlib import Path; from tuning import jobs, runs; [jobs.enqueue(runs.Run(Path(p))) for p in sys.argv[1:]]"
    folders = [str(run.folder) for run in (first, second, third)]
    subprocess.run([sys.executable, "-c", code, *folders], cwd=jobs.ROOT, check=True, timeout=PATIENCE)
    until(lambda: second.progress().state == RUNNING)  # no app is there: the first child called it
    assert first.progress().state == FINISHED and third.progress().state == WAITING
    process = second.process(TRAIN)
    assert isinstance(process, psutil.Process)
    process.send_signal(signal.SIGKILL)
    jobs.watch(first.folder.parent)  # an app that starts again
    until(lambda: third.progress().state == FINISHED)
    assert second.progress().state == "interrupted"
    until(lambda: len(third.measured()) == 5)  # what was measured is measured for those who waited, too


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)
