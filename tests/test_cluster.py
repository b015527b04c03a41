"""Runs on a Ray cluster: the same folder, line, log and states as on this machine, against a real local cluster."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dialogues.dialogue import Dataset
from tuning import engine, jobs
from tuning.cluster import StandIn
from tuning.plan import propose
from tuning.runs import CANCELLED, FINISHED, RUNNING, TRAIN, WAITING, Progress, Run, all_runs, create

pytestmark = pytest.mark.slow
PATIENCE = 240.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A head with room for two runs; its processes are this test's own and end with it."""
    pytest.importorskip("ray", reason="Ray is an extra: pip install -c constraints.txt -r requirements-ray.txt")
    for _ in range(3):  # Ray gives up a start that takes half a minute, as it may on a busy machine
        with tempfile.TemporaryDirectory(
            prefix="ray", ignore_cleanup_errors=True
        ) as folder:  # short: sockets lie in it
            head, address = start_head(folder)
            if answers(head, address):
                yield address
                end_head(head, folder)
                return
            end_head(head, folder)
    pytest.fail("The cluster did not start.")


def start_head(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(str(free.getsockname()[1]))
    here = Path(sys.executable).parent
    head = subprocess.Popen(
        [str(here / "ray"), "start", "--head", "--block", "--num-cpus=2", "--num-gpus=0", "--disable-usage-stats",
         f"--port={ports[0]}", f"--dashboard-port={ports[1]}", "--object-store-memory=100000000", f"--temp-dir={folder}"],
        env={**os.environ, "PATH": f"{here}:{os.environ['PATH']}", "RAY_agent_register_timeout_ms": "300000"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return head, f"http://127.0.0.1:{ports[1]}"


def answers(head: subprocess.Popen[bytes], address: str) -> bool:
    """Whether the head comes up and does a first job."""
    from ray.job_submission import JobSubmissionClient

    end, job = time.monotonic() + PATIENCE, ""
    while head.poll() is None and time.monotonic() < end:
        with suppress(RuntimeError, OSError):  # until it is there
            client = JobSubmissionClient(address)
            job = job or client.submit_job(entrypoint="true")
            if client.get_job_status(job).is_terminal():
                return True
        time.sleep(1)
    return False


def end_head(head: subprocess.Popen[bytes], folder: str) -> None:
    head.send_signal(signal.SIGTERM)
    head.wait(60)
    for process in psutil.process_iter(["cmdline"]):
        if any(folder in word for word in process.info["cmdline"] or []):
            process.kill()


@pytest.fixture
def make_run(tmp_path: Path, tiny_model: Path, chats: Dataset, cluster: str) -> Iterator[Callable[..., Run]]:
    engine.choose(tmp_path / "runs", cluster)

    def make(**changes: object) -> Run:
        plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32", learning_rate=1e-3)
        return create(tmp_path / "runs", replace(plan, **changes), chats, "test", "owner")  # type: ignore[arg-type]

    yield make
    for run in all_runs(tmp_path / "runs"):  # nobody goes on standing for a run whose cluster is gone
        if process := run.process(TRAIN):
            process.kill()


def follow(run: Run, until: Callable[[Progress], bool]) -> Progress:
    end = time.monotonic() + PATIENCE
    while not until(progress := run.progress()):
        assert time.monotonic() < end, (progress, run.log_tail(40))
        jobs.advance(run.folder.parent)  # as the app does every other second
        time.sleep(0.5)
    return progress


def worker(run: Run) -> psutil.Process:
    """The process that trains: the cluster's, not the one that stands for it."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "tuning.train" in words and str(run.folder) in words and words[0].endswith("python"):
            return process
    raise AssertionError("nobody trains this run")


def test_runs_train_side_by_side_and_end_as_they_do_on_this_machine(
    make_run: Callable[..., Run], tiny_model: Path, chats: Dataset, tmp_path: Path
) -> None:
    first, second, third = make_run(), make_run(), make_run()
    for run in (first, second, third):
        jobs.enqueue(run)
    follow(third, lambda progress: "room for 2 runs" in progress.message)
    assert first.alive(TRAIN) and second.alive(TRAIN) and not third.alive(TRAIN) and third.progress().state == WAITING
    assert follow(first, lambda progress: progress.over).state == FINISHED, first.log_tail(40)
    here = create(tmp_path / "here", first.plan, chats, "test", "owner")
    jobs.start(here)
    assert follow(here, lambda progress: progress.over).state == FINISHED
    there, ours = (dict(run.progress().loss_curve) for run in (first, here))
    assert there == pytest.approx(ours, abs=1e-5)  # another number of threads adds in another order
    assert "step 21  loss" in first.log_tail(400)
    assert jobs.wait(first, PATIENCE)
    assert follow(third, lambda progress: progress.state == RUNNING)  # its turn came without anybody asking
    for run in (second, third):
        assert follow(run, lambda progress: progress.over).state == FINISHED
        assert jobs.wait(run, PATIENCE)


def test_a_worker_that_dies_is_followed_by_another_from_the_last_checkpoint(make_run: Callable[..., Run]) -> None:
    whole, run = make_run(), make_run()
    jobs.enqueue(whole)
    jobs.enqueue(run)
    follow(run, lambda progress: run.resume_step() >= 5 or progress.over)
    worker(run).kill()
    assert follow(run, lambda progress: progress.over).state == FINISHED, run.log_tail(40)
    assert "gone without a word" in run.log_tail(400)
    follow(whole, lambda progress: progress.over)
    assert dict(run.progress().loss_curve) == pytest.approx(dict(whole.progress().loss_curve), abs=1e-5)


def test_cancel_and_resume_work_as_on_this_machine(make_run: Callable[..., Run]) -> None:
    run = make_run(steps=40_000)
    jobs.enqueue(run)
    follow(run, lambda progress: progress.step >= 3)
    jobs.cancel(run)
    assert follow(run, lambda progress: progress.over).state == CANCELLED
    assert jobs.wait(run, PATIENCE) and "step 3 " not in run.progress().message
    jobs.resume(run)
    assert follow(run, lambda progress: progress.state == RUNNING and progress.step >= 1)
    stand_in = run.process(TRAIN)
    assert stand_in
    stand_in.kill()  # as a restart of this machine does
    assert jobs.wait(run, PATIENCE)
    jobs._follow_again(run.folder.parent)
    step = run.progress().step
    assert follow(run, lambda progress: progress.state == RUNNING and progress.step > step)
    jobs.cancel(run)
    assert follow(run, lambda progress: progress.over).state == CANCELLED
    assert jobs.wait(run, PATIENCE)


def test_a_cluster_that_does_not_answer_is_named_while_the_run_waits(
    tmp_path: Path, tiny_model: Path, chats: Dataset
) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install -c constraints.txt -r requirements-ray.txt")
    engine.choose(tmp_path / "runs", "http://127.0.0.1:9")
    plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32")
    run = create(tmp_path / "runs", plan, chats, "test", "owner")
    jobs.enqueue(run)
    assert run.progress().state == WAITING and "127.0.0.1:9, which does not answer" in run.progress().message
    engine.choose(tmp_path / "runs", "")
    assert isinstance(engine.engine_of(tmp_path / "runs"), engine.Local)


def test_a_run_that_is_cancelled_while_the_cluster_puts_it_off_is_not_handed_in(
    tmp_path: Path, tiny_model: Path, chats: Dataset
) -> None:
    plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32")
    stand_in = StandIn(create(tmp_path, plan, chats, "test", "owner"), "http://127.0.0.1:9")
    stand_in.stop()
    assert stand_in._submit() is None  # else it would ask the address, which answers nobody
