"""A checkpoint as one file to take along: weights, tokenizer and a model card with plan, data digest, signature and scores."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from dialogues.dialogue import Problem, Refused
from evaluation.comparison import compare_run
from prompting.model import Decoding
from prompting.source import BUNDLED, config
from sharing.download import model_card
from tuning.plan import QLORA
from tuning.runs import Run, RunRefused

TAKEN = ("*.safetensors", "*.json", "spiece.model")
LEFT = (
    "whole.json",
    "trainer_state.json",
    "generation_config.json",
)  # ours, what only training needs, what is written anew


def pack(run: Run, step: int, file: Path) -> Path:
    """Write checkpoint `step` into `file` (a .zip) and return it; no chat goes in.

    Raises RunRefused where that checkpoint is not whole.
    """
    if not step:
        raise RunRefused(
            Problem("There is no checkpoint to pack yet.", "Wait until the first one is whole.", field="run")
        )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as parcel:  # weights do not shrink
        for name, content in contents(run, step).items():
            parcel.writestr(name, content) if isinstance(content, str) else parcel.write(content, name)
    return file


def contents(run: Run, step: int) -> dict[str, str | Path]:
    """What a parcel holds, by name: text, or the file that is to be copied."""
    folder = Path(run.checkpoint_source(step))
    held: dict[str, str | Path] = {"README.md": card(run, step)}
    if not run.plan.adapts:
        held["generation_config.json"] = json.dumps(generation(folder))
    found = {path.name: path for pattern in TAKEN for path in sorted(folder.glob(pattern))}
    return held | {name: path for name, path in found.items() if name not in LEFT}


def card(run: Run, step: int, merged: bool = False) -> str:
    """The model card in Markdown: what it is, how it was tuned and on which data (a digest, never the data), its scores."""
    from huggingface_hub import ModelCard, ModelCardData

    try:
        made = ModelCard(model_card(compare_run(run), step))
    except (Refused, KeyError):  # not measured yet: nothing is claimed
        made = ModelCard(f"---\n{ModelCardData().to_yaml()}\n---\n\nNot measured yet.\n")
    said: Any = made.data
    said.pipeline_tag = "summarization"
    said.library_name = "peft" if run.plan.adapts and not merged else "transformers"
    if run.plan.base_model != BUNDLED and not Path(run.plan.base_model).exists():
        said.base_model = run.plan.base_model
    made.text = f"# Checkpoint {step}\n\n{_how(run, step, merged)}\n\n{made.text.strip()}\n"
    return str(made)


def generation(folder: Path) -> dict[str, Any]:
    """How `generate` answers, for whoever loads the folder with transformers; the end before a loop is ours alone."""
    said, usual = config(folder), Decoding()
    ids = {name: said.get(name) for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id")}
    return {**ids, "max_new_tokens": usual.max_new_tokens}


def _how(run: Run, step: int, merged: bool) -> str:
    plan, dataset = run.plan, run.dataset
    adapter = "a LoRA adapter, learned on four bits," if plan.method == QLORA else "a LoRA adapter"
    method = f"{adapter} {'merged into' if merged else 'on'}" if plan.adapts else "all weights of"
    rows = {
        "trained": f"{method} {plan.base_model}",
        "steps": f"{step} of {plan.steps}, {plan.batch_size} pairs each",
        "learning rate": f"{plan.learning_rate:g}, linear warm-up and decay",
        "precision": plan.precision,
        "window": f"{plan.window} tokens",
        "seed": str(plan.seed),
        "data": f"digest {dataset.digest}, {len(dataset.splits['train'])} training chats; the chats are not part of this file",
    }
    lines = "\n".join(f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows.items())
    asked = "\n".join(f"    {line}" for line in plan.prompt.pattern.splitlines())
    intro = "Tuned with TuneProof to summarise dialogues. Ask it with exactly the template it was tuned with:"
    return f"{intro}\n\n{asked}\n\n| | |\n|---|---|\n{lines}"
