"""The trainer of a run: transformers' own with the faster loss, an order of data that can be taken up again, and whole checkpoints."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.utils.data import Sampler
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from prompting.source import Source
from tuning import objective
from tuning.plan import LORA
from tuning.runs import Run

TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "spiece.model")


class DivergedError(Exception):
    """The loss is no number any more, or nothing is left to learn; `str` says which, in a sentence."""


class Tuner(Seq2SeqTrainer):
    """Seq2SeqTrainer whose loss is `tuning.objective`'s, in training and in validation.

    The loss of a step is the mean over all its labels, however many batches it is gathered from: T5's own forward takes
    the mean of each batch instead, which weighs a label by the company it came in. Models that `objective.covers` does
    not know run their own forward. `keep(step)` writes a checkpoint's weights and returns its folder; `seal(step)` makes
    it count. With `resume_from_checkpoint` training goes on as if it had never stopped.
    """

    keep: Callable[[int], Path]
    seal: Callable[[int], None]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inner = model.get_base_model() if isinstance(model, PeftModel) else model
        if objective.covers(inner):
            with self.accelerator.autocast():
                loss = objective.loss(inner, inputs, torch.bfloat16 if self.args.bf16 else torch.float32)
        else:
            loss = model(**inputs).loss
        loss = loss * _share(inputs["labels"], num_items_in_batch)
        return (loss, {}) if return_outputs else loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Raises DivergedError before a loss that teaches nothing has touched the weights."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        value = float(loss)
        if not math.isfinite(value):
            raise DivergedError("The loss is no number any more: learning went out of hand.")
        if value == 0.0:
            raise DivergedError("The loss is exactly zero: there is nothing to learn from these summaries.")
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The validation, without a trace in the random numbers of training."""
        with torch.random.fork_rng():
            return super().evaluate(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = train_dataset if train_dataset is not None else self.train_dataset
        return Grouped([len(row["input_ids"]) for row in rows], self.args.train_batch_size, self.args.seed)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Log and save first, then validate: a stop during the validation must not cost the checkpoint."""
        wanted, self.control.should_evaluate = self.control.should_evaluate, False
        super()._maybe_log_save_evaluate(*args, **kwargs)
        if wanted:
            self.control.should_evaluate = True
            super()._maybe_log_save_evaluate(*args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = self.keep(self.state.global_step)
        try:
            self._save_optimizer_and_scheduler(str(folder))
            self._save_rng_state(str(folder))
            self.state.save_to_json(str(folder / "trainer_state.json"))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # a disk that is full needs the room to say so
            raise
        self.seal(self.state.global_step)


class Grouped(Sampler[int]):
    """Pairs of like length side by side, in an order that follows from seed and epoch alone."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        drawn = torch.Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=drawn))


class Keeper:
    """Writes the tuned model with its tokenizer, or the adapter alone."""

    def __init__(self, run: Run, source: Source, model: Any) -> None:
        self._run, self._source, self._model = run, source, model

    def keep(self, step: int) -> Path:
        """The folder of checkpoint `step` with its weights, not yet sealed; nothing is left where that fails."""
        folder = self._run.checkpoint_folder(step)
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted write left
        folder.mkdir(parents=True)
        try:
            self.write(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def write(self, folder: Path) -> None:
        plan = self._run.plan
        if plan.method == LORA:
            self._model.peft_config["default"].base_model_name_or_path = plan.base_model
            # False: the vocabulary is never tuned, and peft would ask the hub about it
            self._model.save_pretrained(folder, save_embedding_layers=False)
            return
        self._model.save_pretrained(folder)
        for pattern in TOKENIZER_FILES:
            for file in self._source.folder.glob(pattern):
                shutil.copy(file, folder)


def arguments(run: Run, validate_first: bool) -> Seq2SeqTrainingArguments:
    """The trainer's settings; what to keep and when is the reporter's business."""
    plan = run.plan
    return Seq2SeqTrainingArguments(
        output_dir=str(run.checkpoint_folder(0).parent),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        optim="adamw_torch" if plan.method == LORA else "adafactor",
        lr_scheduler_type="linear",
        warmup_steps=max(1, plan.steps // 20),
        bf16=plan.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        seed=plan.seed,
        logging_steps=max(1, plan.steps // 100),
        logging_nan_inf_filter=False,  # a loss that is no number has to be seen
        include_num_input_tokens_seen="non_padding",
        eval_on_start=validate_first,
        save_strategy="no",
        report_to=run.trackers() or "none",
        run_name=run.record.name,
        project="tuneproof",
        trackio_static_space_id=False,  # nothing is published on anybody's behalf
        disable_tqdm=True,
    )


def _share(labels: Tensor, of: Tensor | int | None) -> Tensor | float:
    """This batch's part of the labels that one step learns from."""
    return 1.0 if of is None else (labels != objective.NO_LOSS).sum() / of
