"""The child process: tunes the model of a run folder, and says there truthfully how far it is and how it ended."""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    DataCollatorForSeq2Seq,
    PrinterCallback,
    Seq2SeqTrainingArguments,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from dialogues.dialogue import Example, Refused
from prompting.model import encode, open_tokenizer, open_weights
from prompting.source import Source, find
from tuning.plan import LORA, Plan
from tuning.runs import CANCELLED, CANCELLED_WORDS, FAILED, FINISHED, RUNNING, TRAIN, Run
from tuning.trainer import Tuner

VALIDATED = 64  # chats that the validation loss is taken over: enough for a curve, quick enough for every checkpoint
HEARTBEAT = 1.0  # seconds between two states on disk
RANK = 16
TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "spiece.model")


class Stopped(Exception):  # no error: somebody wished it
    """Somebody asked this process to end."""


class DivergedError(Exception):
    """The loss is no number any more."""


def main(folder: str) -> int:
    """`python -m tuning.train RUN_FOLDER`: trains that run; 0 when it finished, 1 when it was stopped or failed."""
    run = Run(Path(folder))
    run.note_process(TRAIN, os.getpid())
    reporter = Reporter(run)
    signal.signal(signal.SIGTERM, reporter.stop)
    try:
        train(run, reporter)
    except Stopped:
        reporter.say(state=CANCELLED, message=CANCELLED_WORDS, eta_seconds=None)
        return 1
    except BaseException as error:  # whatever it is, the folder has to tell it
        traceback.print_exc()
        reporter.say(state=FAILED, message=reason(error), eta_seconds=None)
        return 1
    reporter.say(state=FINISHED, message="Finished.", eta_seconds=0.0)
    return 0


def train(run: Run, reporter: Reporter) -> None:
    """Load, encode, tune; the reporter keeps the checkpoints and the curves."""
    plan, dataset = run.plan, run.dataset
    set_seed(plan.seed)
    reporter.say(state=RUNNING, message="Loading the base model…", started=time.time())
    source = find(plan.base_model, say=lambda words: reporter.say(message=words))
    tokenizer = open_tokenizer(source.folder)
    model = trainable(source, plan)
    reporter.say(message="Reading the chats…")
    pairs = encode_pairs(dataset.splits["train"], plan, tokenizer)
    held_out = encode_pairs(dataset.splits["validation"][:VALIDATED], plan, tokenizer, references=1)
    reporter.keeper = Keeper(run, source, model)
    trainer = Tuner(
        model=model,
        args=arguments(plan, run, bool(held_out)),
        train_dataset=pairs,
        eval_dataset=held_out or None,  # a list is a map-style data set, too
        data_collator=DataCollatorForSeq2Seq(tokenizer),  # pads to the batch's longest; labels with -100
        processing_class=tokenizer,
        callbacks=[reporter],
    )
    trainer.remove_callback(PrinterCallback)  # the reporter writes the log, in words
    reporter.say(message="")
    trainer.train()
    if reporter.stopping:
        raise Stopped


def trainable(source: Source, plan: Plan) -> Any:
    """The base model in fp32, whole or with a fresh LoRA around every linear layer of its blocks."""
    model = open_weights(source, torch.float32)
    if plan.method != LORA:
        return model
    layers = ["q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo"]  # both T5 shapes; a name that is not there is no matter
    return get_peft_model(
        model,
        LoraConfig(
            task_type=TaskType.SEQ_2_SEQ_LM, r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=layers
        ),
    )


def encode_pairs(
    examples: Sequence[Example], plan: Plan, tokenizer: Any, references: int | None = None
) -> list[dict[str, list[int]]]:
    """One pair a reference (or only the first `references`), both sides cut at the window as in prompting."""
    template, pairs = plan.prompt, []
    for example in examples:
        ids, _ = encode(tokenizer, template.render(example.dialogue), plan.window)
        for reference in example.references[:references]:
            labels, _ = encode(tokenizer, reference, plan.window)
            pairs.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    return pairs


def arguments(plan: Plan, run: Run, validating: bool) -> Seq2SeqTrainingArguments:
    """The trainer's settings; what to keep and when is the reporter's business."""
    return Seq2SeqTrainingArguments(
        output_dir=str(run.checkpoint_folder(0).parent),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        optim="adamw_torch" if plan.method == LORA else "adafactor",
        lr_scheduler_type="linear",
        warmup_steps=max(1, plan.steps // 20),
        train_sampling_strategy="group_by_length",
        bf16=plan.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        seed=plan.seed,
        logging_steps=max(1, plan.steps // 100),
        logging_nan_inf_filter=False,  # a loss that is no number has to be seen
        include_num_input_tokens_seen="non_padding",
        eval_on_start=validating,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


class Keeper:
    """Writes whole checkpoints: the tuned model with its tokenizer, or the adapter alone."""

    def __init__(self, run: Run, source: Source, model: Any) -> None:
        self._run, self._source, self._model = run, source, model

    def keep(self, step: int) -> None:
        folder = self._run.checkpoint_folder(step)
        folder.mkdir(parents=True, exist_ok=True)
        plan = self._run.plan
        if plan.method == LORA:
            self._model.peft_config["default"].base_model_name_or_path = plan.base_model
            # False: the vocabulary is never tuned, and peft would ask the hub about it
            self._model.save_pretrained(folder, save_embedding_layers=False)
        else:
            self._model.save_pretrained(folder)
            for pattern in TOKENIZER_FILES:
                for file in self._source.folder.glob(pattern):
                    shutil.copy(file, folder)
        self._run.seal(step)


class Reporter(TrainerCallback):
    """Listens to the trainer and writes the run's state, curves and checkpoints."""

    def __init__(self, run: Run) -> None:
        self.run, self.steps_kept = run, run.plan.checkpoints
        self.keeper: Keeper | None = None
        self.stopping = False
        self._state = run.state()
        self._began = 0.0

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM: end after the current step."""
        self.stopping = True

    def say(self, **changes: Any) -> None:
        """Write the state with these changes. Raises Stopped, once asked to, between the stages of a running child."""
        self._state = replace(self._state, **changes, updated=time.time())
        self.run.write_state(self._state)
        if self.stopping and self._state.state == RUNNING and not self._began:
            raise Stopped

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        step = state.global_step
        if step in self.steps_kept and self.keeper:
            self.keeper.keep(step)
            control.should_evaluate = args.eval_on_start
        if self.stopping:
            control.should_training_stop = True
            control.should_evaluate = False
        if time.time() - (self._state.updated or 0) > HEARTBEAT or step in self.steps_kept:
            self._beat(step, state)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise DivergedError
        self.run.append_point("loss", state.global_step, loss)
        print(f"step {state.global_step}  loss {loss:.4f}  learning rate {logs['learning_rate']:.2e}", flush=True)
        self._beat(state.global_step, state)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        loss = float(metrics["eval_loss"])
        if math.isfinite(loss):
            self.run.append_point("validation", state.global_step, loss)
        print(f"step {state.global_step}  validation loss {loss:.4f}", flush=True)
        if not state.global_step:
            self._began = time.monotonic()  # the first validation is not part of a step's time

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.stopping:
            raise Stopped

    def _beat(self, step: int, state: TrainerState) -> None:
        passed = time.monotonic() - self._began
        self.say(
            step=step,
            eta_seconds=passed / step * (state.max_steps - step),
            tokens_per_second=float(state.num_input_tokens_seen) / passed,
        )


def reason(error: BaseException) -> str:
    """Why a run failed, in a plain sentence with what to change."""
    words = str(error)
    if isinstance(error, Refused):
        return words
    if isinstance(error, DivergedError):
        return "The loss is no number any more: learning went out of hand. Use a smaller learning rate or fp32."
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in words:
        return "The machine ran out of memory. Use LoRA, a smaller model, or a smaller batch."
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in words:
        return "The disk is full. Delete runs that are no longer needed and start again."
    return f"{type(error).__name__}: {words}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
