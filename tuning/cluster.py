"""A run that trains on a Ray cluster, as one process of this machine: it submits, passes the log on, stops, submits again.

Run as `python -m tuning.cluster RUN_FOLDER ADDRESS`. The cluster's machines get this house's code from here; they need
what requirements.txt names, and the run folder at the same path.
"""

from __future__ import annotations

import os
import secrets
import shlex
import signal
import sys
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tuning.runs import CANCELLED, CANCELLED_WORDS, FAILED, FINISHED, RUNNING, TRAIN, WAITING, Run

ROOT = Path(__file__).resolve().parents[1]
LEFT = ["tests", "docs", "benchmarks", ".git", ".venv", ".tuneproof", "assets/recorded"]  # what no worker needs
LOOK = 1.0  # seconds between two looks at a job
STOP = 20  # seconds that a job has to end in good order; less than `tuning.jobs.GRACE`
PATIENCE = 60  # submissions of a job to a cluster that asks to try again later
TRIES = 3  # submissions of a run that gets no further than the last one did


def slots(address: str) -> int:
    """How many runs the cluster can train side by side: one a GPU, or one a CPU where it has none; 0 while it starts."""
    return sum(_processors(address))


def living(address: str, run: Run) -> str | None:
    """The id of the job that trains this run now, or None."""
    jobs = _client(address).list_jobs()
    own = (job for job in jobs if (job.submission_id or "").startswith(run.id) and not job.status.is_terminal())
    return next((job.submission_id for job in own), None)


def submit(address: str, run: Run) -> str:
    """Hand the run to the cluster, which starts it where and when there is room; the job's id."""
    gpus = _processors(address)[0]
    return str(
        _client(address).submit_job(
            entrypoint=shlex.join(["python", "-m", "tuning.train", str(run.folder.resolve()), "elsewhere"]),
            submission_id=f"{run.id}-{secrets.token_hex(4)}",
            runtime_env={
                "working_dir": str(ROOT),
                "excludes": LEFT,
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP), "OMP_WAIT_POLICY": "PASSIVE"},
            },
            **({"entrypoint_num_gpus": 1} if gpus else {"entrypoint_num_cpus": 1}),
        )
    )


class StandIn:
    """Stands for the training of a run: `follow` ends when that does, and `stop` makes it."""

    def __init__(self, run: Run, address: str) -> None:
        self.run, self.address, self.stopping = run, address, False

    def stop(self, *_: Any) -> None:
        self.stopping = True

    def follow(self) -> int:
        """0 when the run finished. A worker that dies without a word is followed by another, from the last checkpoint."""
        tries, since = 0, self.run.resume_step()
        while not self.stopping and tries < TRIES:
            job = living(self.address, self.run) or self._submit()
            if job is None:
                break
            self._follow(job)
            if self.run.state().state not in (WAITING, RUNNING):
                break
            print("The worker is gone without a word.", flush=True)
            tries = tries + 1 if self.run.resume_step() == since else 0
            since = self.run.resume_step()
        if self.stopping and self.run.state().state in (WAITING, RUNNING):
            self._say(CANCELLED, CANCELLED_WORDS)
        elif self.run.state().state == WAITING:
            self._say(
                FAILED, "The cluster's worker ended before it could begin. The log says why; resume when it is mended."
            )
        return int(self.run.state().state != FINISHED)

    def _submit(self) -> str | None:
        """The job's id; None where somebody asked to stop before the cluster took it."""
        self._say(WAITING, f"Waits for room on the Ray cluster at {self.address}.")
        tried = 0
        while not self.stopping:
            try:
                return submit(self.address, self.run)
            except RuntimeError as error:
                tried += 1
                if "try again later" not in str(error) or tried == PATIENCE:  # as one says that has just started
                    raise
                time.sleep(LOOK)
        return None

    def _follow(self, job: str) -> None:
        """Pass the job's log on until it is over; a cluster that does not answer for a while is asked again."""
        seen, asked = 0, False
        while True:
            try:
                status, log = self._client.get_job_status(job), self._client.get_job_logs(job)
                print(log[seen:], end="", flush=True)
                seen = len(log)
                if status.is_terminal():
                    return
                if self.stopping and not asked:
                    asked = bool(self._client.stop_job(job))
            except (RuntimeError, OSError) as error:
                if "does not exist" in str(error):  # the cluster was made anew
                    return
            time.sleep(LOOK)

    @cached_property
    def _client(self) -> Any:
        return _client(self.address)

    def _say(self, state: str, message: str) -> None:
        self.run.write_state(replace(self.run.state(), state=state, message=message, eta_seconds=None))


def _client(address: str) -> Any:
    from ray.job_submission import JobSubmissionClient

    return JobSubmissionClient(address)


def _processors(address: str) -> tuple[int, int]:
    """GPUs of the cluster's living machines, and CPUs where there is no GPU."""
    from ray.util.state import list_nodes

    nodes = list_nodes(address=_client(address).get_address(), filters=[("state", "=", "ALIVE")])
    gpus, cpus = (sum(int(node.resources_total.get(name, 0)) for node in nodes) for name in ("GPU", "CPU"))
    return gpus, 0 if gpus else cpus


def main(folder: str, address: str) -> int:
    """0 when the run finished. What the cluster cannot do is written as the reason why the run failed."""
    run = Run(Path(folder))
    run.note_process(TRAIN, os.getpid())
    stand_in = StandIn(run, address)
    signal.signal(signal.SIGTERM, stand_in.stop)
    try:
        return stand_in.follow()
    except Exception as error:
        words = f"The Ray cluster at {address} could not train it ({type(error).__name__}: {str(error)[:300]})."
        run.write_state(replace(run.state(), state=FAILED, message=words, eta_seconds=None))
        raise
    finally:
        from tuning import jobs

        jobs.advance(run.folder.parent)  # whoever waits goes on, also where the app is gone


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
