"""Before the first step: answer a few chats, have them scored, save the model and read it back: what would fail at the end fails now."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open

from dialogues.dialogue import Example, Problem
from prompting.model import encode, open_tokenizer
from prompting.source import find, weights
from tuning.jobs import ROOT
from tuning.runs import RunRefused
from tuning.trainer import Keeper

CHATS = 4  # that are answered before and after
LONGEST = 40  # tokens of an answer
SCORING = 300  # seconds, at most: a second is usual
SAME = (
    "Finished, but what it writes of {count} chats is word for word what the untouched model writes: "
    "it learned too little to show. Choose a larger size or a larger learning rate."
)


def answers(model: Any, tokenizer: Any, prompts: Sequence[str], window: int) -> list[str]:
    """A short greedy answer to each prompt; the model stays in training mode."""
    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad():
            return [_answer(model, tokenizer, encode(tokenizer, prompt, window)[0], device) for prompt in prompts]
    finally:
        model.train()


def _answer(model: Any, tokenizer: Any, ids: list[int], device: torch.device) -> str:
    inputs = torch.tensor([ids], device=device)
    said = model.generate(
        input_ids=inputs,
        attention_mask=torch.ones_like(inputs),
        max_new_tokens=LONGEST,
        decoder_start_token_id=model.config.decoder_start_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return str(tokenizer.decode(said[0], skip_special_tokens=True))


def have_scored(examples: Sequence[Example], said: Sequence[str], folder: Path) -> None:
    """Have these answers scored by the command that scores summaries from anywhere: this room may not score itself.

    Uses `folder` meanwhile and removes it. Raises RunRefused with what that command said where it failed,
    and subprocess.TimeoutExpired after SCORING seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "answers.jsonl"
    rows = [
        {**example.to_json(), "dialogue": example.to_json()["turns"], "prediction": answer}
        for example, answer in zip(examples, said, strict=True)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    try:
        scored = subprocess.run(
            [sys.executable, "-m", "evaluation", str(file.resolve())],
            cwd=ROOT, capture_output=True, text=True, timeout=SCORING, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if scored.returncode:
        print(scored.stderr, file=sys.stderr, flush=True)
        words = (scored.stderr.strip() or f"scoring ended with status {scored.returncode}").splitlines()[-1]
        reason = f"The answers to the first {len(rows)} chats could not be scored: {words}"
        raise RunRefused(Problem(reason, "Look at these chats and the log, and start a new run.", field="chats"))


def save_and_reload(keeper: Keeper, model: Any, folder: Path) -> None:
    """Write a checkpoint into `folder`, compare every number in it with the model's, and remove it.

    Raises RunRefused where something came back changed; what the disk says passes through.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        keeper.write(folder)
        open_tokenizer.__wrapped__(find(str(folder)).folder)
        if wrong := _changed(model, folder):
            raise RunRefused(
                Problem(f"A saved checkpoint came back changed in {', '.join(wrong[:3])}.", "Check the disk.")
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _changed(model: Any, folder: Path) -> list[str]:
    """Names of what differs, one tensor in memory at a time; nothing at all counts as everything."""
    ours = get_peft_model_state_dict(model) if isinstance(model, PeftModel) else model.state_dict()
    names, wrong = 0, []
    for file in weights(folder):
        with safe_open(file, "pt") as saved:
            for name in saved.keys():  # noqa: SIM118 (it is no mapping)
                names += 1
                if name not in ours or not torch.equal(saved.get_tensor(name), ours[name].cpu()):
                    wrong.append(name)
    return wrong if names else ["every weight"]
