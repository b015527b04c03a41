"""What a child says while it trains: state, curves and checkpoints into the run folder, and the reason when it ends."""

from __future__ import annotations

import errno
import math
import subprocess
import time
from dataclasses import replace
from types import FrameType
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from dialogues.dialogue import Refused
from tuning.runs import RUNNING, Run
from tuning.trainer import DivergedError

HEARTBEAT = 1.0  # seconds between two states on disk
FULL_DISK = ("No space left on device", "Disk quota exceeded", "File too large", "unexpected pos")


class Stopped(Exception):  # no error: somebody wished it
    """Somebody asked this process to end."""


class Reporter(TrainerCallback):
    """Listens to the trainer, writes the run's state and curves, and says when to keep a checkpoint."""

    def __init__(self, run: Run) -> None:
        self.run, self.steps_kept = run, run.plan.checkpoints
        self.validates = False
        self.stopping = False
        self._state = run.state()
        self._began: float | None = None  # when the steps of this process began; None before
        self._first = self._seen = 0  # steps and tokens that were done before

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM: end after the current step."""
        self.stopping = True

    def say(self, **changes: Any) -> None:
        """Write the state with these changes. Raises Stopped, once asked to, between the stages of a running child."""
        self._state = replace(self._state, **changes, updated=time.time())
        self.run.write_state(self._state)
        if self.stopping and self._state.state == RUNNING and self._began is None:
            raise Stopped

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._began, self._first, self._seen = time.monotonic(), state.global_step, int(state.num_input_tokens_seen)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step in self.steps_kept:
            control.should_log = control.should_save = True
            control.should_evaluate = self.validates
        if self.stopping:
            control.should_training_stop = True
            control.should_evaluate = False
        if time.time() - (self._state.updated or 0) > HEARTBEAT:
            self._beat(state)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._beat(state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if "loss" not in (logs or {}):
            return
        loss, rate, norm = (float(logs[name]) for name in ("loss", "learning_rate", "grad_norm"))
        self.run.append_point("loss", state.global_step, loss)
        print(f"step {state.global_step}  loss {loss:.4f}  learning rate {rate:.2e}  gradient {norm:.3g}", flush=True)
        self._beat(state, learning_rate=rate, gradient_norm=norm if math.isfinite(norm) else None)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        loss = float(metrics["eval_loss"])
        if math.isfinite(loss):
            self.run.append_point("validation", state.global_step, loss)
        print(f"step {state.global_step}  validation loss {loss:.4f}", flush=True)
        if state.global_step == self._first:
            self._began = time.monotonic()  # the first validation is not part of a step's time

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.stopping:
            raise Stopped
        if time.time() - (self._state.updated or 0) > HEARTBEAT:
            self.say()

    def _beat(self, state: TrainerState, **more: Any) -> None:
        passed = time.monotonic() - (self._began or 0.0)
        done = state.global_step - self._first
        self.say(
            step=state.global_step,
            eta_seconds=passed / max(done, 1) * (state.max_steps - state.global_step),
            tokens_per_second=(float(state.num_input_tokens_seen) - self._seen) / passed,
            memory_bytes=memory_bytes(),
            **more,
        )


def memory_bytes() -> int:
    """What this process holds now: on the accelerator where there is one, else in main memory."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else psutil.Process().memory_info().rss


def reason(error: BaseException) -> str:
    """Why a run failed, in a plain sentence with what to change."""
    words = str(error)
    if isinstance(error, Refused):
        return words
    if isinstance(error, subprocess.TimeoutExpired):
        return f"Scoring a few answers took more than {error.timeout:g} seconds. Resume the run when less else goes on."
    if isinstance(error, DivergedError):
        return f"{words} Use a smaller learning rate or fp32, and look at the chats' summaries."
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        sign in words for sign in ("allocate memory", "bad_alloc", "out of memory")
    ):
        return "The machine ran out of memory. Use LoRA, a smaller model, or a smaller batch."
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(
        sign in words for sign in FULL_DISK
    ):
        return "The disk is full. Delete runs that are no longer needed, then resume this one."
    if any(sign in words for sign in ("closed by peer", "Connection reset", "Connection closed")):
        return (
            "Another process of this run ended, most often because memory ran out. Resume the run; the log says more."
        )
    return f"{type(error).__name__}: {words}"
