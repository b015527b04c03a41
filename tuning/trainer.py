"""The trainer of a run: transformers' own with the faster loss, an order of data that can be taken up again, and whole checkpoints."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.utils.data import Sampler
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, set_seed
from transformers.integrations.fsdp import is_fsdp_enabled
from transformers.trainer_pt_utils import get_length_grouped_indices

from dialogues.dialogue import Problem
from prompting.source import Source, note_base
from tuning import objective
from tuning.plan import QLORA, Plan, keeps_moments, known_parameters
from tuning.ranks import leads
from tuning.runs import Run, RunRefused

# Parameters above which activations are computed again in the backward pass instead of being kept. By count (not
# measured) XL keeps some 20 GB of them at 8 × 512 tokens in bf16. It costs about a third more computing.
LARGE = 1_000_000_000
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

    keep: Callable[[int, dict[str, Tensor] | None], Path]
    seal: Callable[[int], None]

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        if self.args.process_index:  # the first process goes on as one alone does
            set_seed(self.args.seed + self.args.process_index)  # else all would drop out the same places
        held_out: Any = parts.get("eval_dataset")
        if self.args.world_size > 1 and held_out:
            self.eval_dataset = _filled(held_out, self.args.eval_batch_size)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inner = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        if objective.covers(inner):
            dtype = torch.bfloat16 if self.args.bf16 else torch.float32
            with (
                self.accelerator.autocast(),
                _answering(self.model, lambda **batch: objective.loss(inner, batch, dtype)),
            ):
                loss = model(**inputs)
        else:
            loss = model(**inputs).loss
        if num_items_in_batch is not None:  # each process learns from its part of a step, and gradients are averaged
            loss = loss * (_labels(inputs) / num_items_in_batch) * self.args.world_size
        return (loss, {}) if return_outputs else loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Raises DivergedError, in all processes, before a loss that teaches nothing has touched the weights."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        value = float(self.accelerator.reduce(loss, "mean"))
        if not math.isfinite(value):
            raise DivergedError("The loss is no number any more: learning went out of hand.")
        if value == 0.0:
            raise DivergedError("The loss is exactly zero: there is nothing to learn from these summaries.")
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The validation, without a trace in the random numbers of training."""
        with torch.random.fork_rng():
            return super().evaluate(*args, **kwargs)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """The validation loss is the mean over all labels, too, however they are cut into batches."""
        self._heard = torch.zeros(2, dtype=torch.float64, device=self.args.device)  # nats, labels
        output = super().evaluation_loop(*args, **kwargs)
        nats, labels = self.accelerator.reduce(self._heard, "sum").tolist()
        output.metrics["eval_loss"] = nats / labels
        return output

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            loss, labels = self.compute_loss(model, inputs), _labels(inputs)
        if labels:  # a batch may be nothing but filling
            self._heard += torch.stack([loss * labels, labels])
        return loss, None, None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = train_dataset if train_dataset is not None else self.train_dataset
        return Grouped([len(row["input_ids"]) for row in rows], self.args.train_batch_size, self.args.seed)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Log and save first, then validate: a stop during the validation must not cost the checkpoint."""
        self._agree()
        wanted, self.control.should_evaluate = self.control.should_evaluate, False
        super()._maybe_log_save_evaluate(*args, **kwargs)
        if wanted:
            self.control.should_evaluate = True
            super()._maybe_log_save_evaluate(*args, **kwargs)

    def _agree(self) -> None:
        """Several processes stop together, and validate together, or they would wait for each other for ever."""
        if self.args.world_size > 1:
            wishes = [self.control.should_training_stop, not self.control.should_evaluate]
            heard = self.accelerator.reduce(torch.tensor(wishes, dtype=torch.int64, device=self.args.device), "sum")
            stop, go_on = heard.bool().tolist()
            self.control.should_training_stop, self.control.should_evaluate = stop, not go_on

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step, weights = self.state.global_step, None
        if self.is_fsdp_enabled:
            weights = self.accelerator.get_state_dict(self.model)  # every process gives its shards
        folder = self.keep(step, weights)
        self.accelerator.wait_for_everyone()
        try:
            self._save_optimizer_and_scheduler(str(folder))
            self._save_rng_state(str(folder))
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                self.state.save_to_json(str(folder / "trainer_state.json"))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # a disk that is full needs the room to say so
            raise
        self.seal(step)


class Grouped(Sampler[int]):
    """Pairs of like length side by side, in an order that follows from seed and epoch alone.

    Every batch is full, so that several processes can share it evenly: the last one takes some pairs a second time.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) + -len(self.lengths) % self.batch_size

    def __iter__(self) -> Iterator[int]:
        drawn = torch.Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
        order = get_length_grouped_indices(self.lengths, self.batch_size, generator=drawn)
        again = torch.randint(len(order), (len(self) - len(order),), generator=drawn)
        return iter(order + again.tolist())


class Keeper:
    """Writes the tuned model with its tokenizer, or the adapter alone."""

    def __init__(self, run: Run, source: Source, model: Any) -> None:
        self._run, self._source, self._model = run, source, model

    def keep(self, step: int, weights: dict[str, Tensor] | None = None) -> Path:
        """The folder of checkpoint `step` with its weights, not yet sealed; nothing is left where that fails.

        `weights` are given where the model itself holds only a part of them. All processes but the first write nothing.
        """
        folder = self._run.checkpoint_folder(step)
        if not leads():
            return folder
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted write left
        folder.mkdir(parents=True)
        try:
            self.write(folder, weights)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def write(self, folder: Path, weights: dict[str, Tensor] | None = None) -> None:
        plan = self._run.plan
        if plan.adapts:
            self._model.peft_config["default"].base_model_name_or_path = plan.base_model
            # False: the vocabulary is never tuned, and peft would ask the hub about it
            self._model.save_pretrained(folder, save_embedding_layers=False, state_dict=weights)
            note_base(folder, self._source)
            return
        self._model.save_pretrained(folder, state_dict=weights)
        for pattern in TOKENIZER_FILES:
            for file in self._source.folder.glob(pattern):
                shutil.copy(file, folder)


def arguments(run: Run, validate_first: bool) -> Seq2SeqTrainingArguments:
    """The trainer's settings; what to keep and when is the reporter's business.

    A step learns from `plan.batch_size` pairs, however many processes share them. Raises RunRefused for QLoRA in shards.
    """
    plan, sharded = run.plan, is_fsdp_enabled()
    count = known_parameters(plan.base_model)
    found = Seq2SeqTrainingArguments(
        output_dir=str(run.checkpoint_folder(0).parent),
        max_steps=plan.steps,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        accelerator_config={"split_batches": True},
        learning_rate=plan.learning_rate,
        optim=_optimizer(plan, count, sharded),
        lr_scheduler_type="linear",
        warmup_steps=max(1, plan.steps // 20),
        bf16=plan.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=not sharded and (count or 0) > LARGE,
        ddp_find_unused_parameters=False,
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
    found._n_gpu = min(found._n_gpu, 1)  # one process, one device: DataParallel would multiply the batch
    return found


def _optimizer(plan: Plan, count: int | None, sharded: bool) -> str:
    """By transformers' names. Adafactor's row and column means know nothing of shards; QLoRA's has two bytes a number."""
    if plan.method == QLORA and sharded:
        raise RunRefused(Problem("A model in four bits cannot be put into shards.", "Choose lora.", field="method"))
    if plan.method == QLORA:
        return "adamw_8bit"
    return "adamw_torch_fused" if sharded or keeps_moments(plan, count) else "adafactor"


@contextmanager
def _answering(module: Any, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Until the end `module` answers with `forward`, so that what is around it, as DDP, does its part around our loss."""
    own = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if own is not None:  # accelerate's autocast puts one there
            module.forward = own


def _labels(inputs: dict[str, Any]) -> Tensor:
    """How many labels count."""
    return (inputs["labels"] != objective.NO_LOSS).sum()


def _filled(rows: Any, batch_size: int) -> list[dict[str, list[int]]]:
    """These rows in full batches; what fills the last one counts nothing."""
    return [*rows, *[{**rows[0], "labels": [objective.NO_LOSS]}] * (-len(rows) % batch_size)]
