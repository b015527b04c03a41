"""A model and its chats made ready to learn, and how long a step of theirs then takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import BitsAndBytesConfig
from transformers.data.data_collator import DataCollatorForSeq2Seq
from transformers.optimization import Adafactor

from dialogues.dialogue import Dataset, Example, Problem
from prompting.model import encode, open_tokenizer, open_weights
from prompting.source import Source, find
from tuning import objective
from tuning.plan import QLORA, RANK, Plan, keeps_moments, known_parameters
from tuning.runs import RunRefused

BATCHES = 3  # that are timed: of short, of middling and of long chats
ENOUGH = 1.0  # seconds of timed steps


def trainable(source: Source, plan: Plan) -> Any:
    """The base model in fp32, whole or with a fresh LoRA around every linear layer of its blocks.

    For QLoRA its products are in four bits, and what bitsandbytes leaves whole is in the plan's precision.
    """
    if not plan.adapts:
        return open_weights(source, torch.float32)
    model = open_weights(source, *_in_four_bits(plan)) if plan.method == QLORA else open_weights(source, torch.float32)
    layers = ["q", "k", "v", "o", "wi", "wi_0", "wi_1", "wo"]  # both T5 shapes; a name that is not there is no matter
    return get_peft_model(
        model,
        LoraConfig(
            task_type=TaskType.SEQ_2_SEQ_LM, r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=layers
        ),
    )


def _in_four_bits(plan: Plan) -> tuple[torch.dtype, BitsAndBytesConfig]:
    """As in the paper on QLoRA: four-bit normal floats whose scales are quantized, too."""
    dtype = torch.bfloat16 if plan.precision == "bf16" else torch.float32
    return dtype, BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def encode_pairs(
    examples: Sequence[Example], plan: Plan, tokenizer: Any, references: int | None = None
) -> list[dict[str, list[int]]]:
    """One pair a reference (or only the first `references`), both sides cut at the window as in prompting.

    Raises RunRefused, which names the chat, where one cannot be turned into tokens.
    """
    template, pairs = plan.prompt, []
    for example in examples:
        try:
            ids, _ = encode(tokenizer, template.render(example.dialogue), plan.window)
            labels = [encode(tokenizer, reference, plan.window)[0] for reference in example.references[:references]]
        except Exception as error:  # a tokenizer fails in as many ways as it has files
            problem = f"Chat {example.dialogue.id!r} cannot be read by this model's tokenizer ({error})."
            raise RunRefused(Problem(problem, "Take that chat out and start a new run.", field="chats")) from error
        pairs += [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": label} for label in labels]
    return pairs


def step_seconds(plan: Plan, dataset: Dataset, base_models: Path) -> float:
    """Seconds that one step of `plan` takes here: forward, backward and update of the very model on these chats.

    The mean over batches of short, middling and long chats, which is what batches of like length come to. Nothing is
    kept. Raises ModelRefused where the model is not on this machine, and whatever the machine says to it.
    """
    source = find(plan.base_model, base_models, fetch=False)
    tokenizer, model = open_tokenizer(source.folder), trainable(source, plan)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    step, collate = _step(model.to(device).train(), plan, base_models, device), DataCollatorForSeq2Seq(tokenizer)
    batches = [collate(encode_pairs(some, plan, tokenizer, 1)).to(device) for some in _typical(plan, dataset)]
    step(batches[-1])  # the first one makes room and kernels
    taken: list[list[float]] = [[] for _ in batches]
    while sum(map(sum, taken)) < ENOUGH:
        for batch, times in zip(batches, taken, strict=True):
            times.append(step(batch))
    return mean(map(median, taken))


def _typical(plan: Plan, dataset: Dataset) -> list[Sequence[Example]]:
    """A batch of training chats from the middle of each third by length, the longest third last."""
    by_length = sorted(dataset.splits["train"], key=lambda example: len(example.dialogue.text))
    size = min(plan.batch_size, len(by_length))
    firsts = [round((len(by_length) - size) * (2 * third + 1) / (2 * BATCHES)) for third in range(BATCHES)]
    return [by_length[first : first + size] for first in firsts]


def _step(model: Any, plan: Plan, base_models: Path, device: torch.device) -> Callable[[Any], float]:
    """What does one step on a batch as the trainer does it, and tells its seconds; it learns too little to matter."""
    inner = model.get_base_model() if plan.adapts else model
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = (
        torch.optim.AdamW(learnt, lr=1e-9, fused=True)
        if keeps_moments(plan, known_parameters(plan.base_model, base_models))
        else Adafactor(learnt, lr=1e-9, scale_parameter=False, relative_step=False)
    )
    dtype = torch.bfloat16 if plan.precision == "bf16" else torch.float32

    def step(batch: Any) -> float:
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = objective.loss(inner, batch, dtype) if objective.covers(inner) else model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for an accelerator
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return step
