"""A run that several processes train together: the first one writes its record, the others only look on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
from accelerate import PartialState

from dialogues.dialogue import Problem
from tuning.accelerator import processes
from tuning.record import CANCELLED, FAILED, RUNNING, State
from tuning.runs import Run, RunRefused


class First(Run):
    """The run as the first of several processes sees it."""

    __slots__ = ()

    def rewind(self, step: int) -> None:
        """Take back what came after `step`; the others go on only then."""
        Run.rewind(self, step)
        PartialState().wait_for_everyone()

    def write_state(self, state: State) -> None:
        """How it ended, too; but what another process failed of was there first, and made this one end."""
        if state.state not in (CANCELLED, FAILED) or self.state().state != FAILED:
            Run.write_state(self, state)


class Onlooker(Run):
    """The run as every other process sees it: what is to be written is left to the first, but for a failure of its own."""

    __slots__ = ()

    def rewind(self, step: int) -> None:
        PartialState().wait_for_everyone()

    def write_state(self, state: State) -> None:
        if state.state == FAILED and self.state().state == RUNNING:
            Run.write_state(self, state)

    def note_process(self, job: str, pid: int) -> None: ...

    def append_point(self, kind: str, step: int, value: float) -> None: ...

    def seal(self, step: int) -> None: ...

    def forget_resume(self, before: int | None) -> None: ...


# `--multi_gpu` is accelerate's word for several processes of one machine; without a GPU they speak over gloo.
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--mixed_precision", "no"]
LAUNCH += ["--dynamo_backend", "no", "--main_process_port", "0", "--num_processes"]


def company(pairs: int) -> int:
    """How many processes are still to be started for a step of so many pairs: 1 where this one has been started so."""
    return 1 if torch.distributed.is_torchelastic_launched() else processes(pairs)


def start_together(folder: Path, count: int) -> int:
    """Let `count` processes train the run of this folder and wait for them; 0 when it finished.

    The first of them makes itself known as the one to be stopped; until then whoever stops this one stops all.
    """
    launcher = subprocess.Popen([sys.executable, *LAUNCH, str(count), "-m", "tuning.train", str(folder)])
    signal.signal(signal.SIGTERM, lambda *_: launcher.terminate())
    return launcher.wait()


def seat(folder: Path) -> Run:
    """The run of this folder as this process may see it; `accelerate launch` told it which of how many it is.

    What all but the first print goes nowhere; their errors are still heard.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes == 1:
        return Run(folder)
    if state.is_main_process:
        return First(folder)
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (until this process ends)
    return Onlooker(folder)


def share(pairs: int) -> None:
    """Raises RunRefused, in the first process, where the pairs of a step cannot be shared evenly."""
    state = PartialState()
    if pairs % state.num_processes and state.is_main_process:
        reason = f"{state.num_processes} processes cannot share {pairs} pairs a step evenly."
        remedy = f"Choose a batch of {state.num_processes} pairs or a multiple."
        raise RunRefused(Problem(reason, remedy, field="batch_size"))


def alone() -> bool:
    """Whether no other process trains this run."""
    return bool(PartialState().num_processes == 1)


def leads() -> bool:
    """Whether this process is the first, or the only one."""
    return bool(PartialState().is_main_process)
