"""The trainer of a run: transformers' own, with the faster loss where the model's shape allows it."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Seq2SeqTrainer

from tuning import objective


class Tuner(Seq2SeqTrainer):
    """Seq2SeqTrainer whose loss is `tuning.objective`'s, in training and in validation.

    The loss of a step is the mean over all its labels, however many batches it is gathered from: T5's own forward takes
    the mean of each batch instead, which weighs a label by the company it came in. Models that `objective.covers` does
    not know run their own forward.
    """

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


def _share(labels: Tensor, of: Tensor | int | None) -> Tensor | float:
    """This batch's part of the labels that one step learns from."""
    return 1.0 if of is None else (labels != objective.NO_LOSS).sum() / of
