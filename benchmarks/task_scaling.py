"""Do more tasks help on tasks never seen? `python -m benchmarks.task_scaling --base FOLDER --data FOLDER [--minutes 2] [--out FILE]`.

FOLDER of `--base` is a model before its first task (the recipe's `pretrained/`). From it, the same training time is spent on
1, 3, 9 and all tasks of the mixture, three seeds each, and every model answers the same cases of the held-out tasks.
Written to FILE, as JSON: for each number of tasks and seed the mean score of each held-out task, in percent.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from transformers import DataCollatorForSeq2Seq

from benchmarks.base_model import fresh_cases
from evaluation.rouge import rouge
from prompting.decoding import Decoding
from prompting.model import LocalSummarizer, Summarizer, encode, open_tokenizer, open_weights
from prompting.source import find
from tuning import objective
from tuning.mixture import Case, Mixture
from tuning.mixture_file import read_mixture
from tuning.pretrain import MIXTURE

NUMBERS = (1, 3, 9, 0)  # 0 means all
SEEDS = (0, 1, 2)
WINDOW, BATCH, RATE = 320, 24, 3e-4
CASES = 60  # a held-out task


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.0, help="training time of each of the twelve models")
    parser.add_argument("--out", type=Path, default=Path("assets/recorded/task-scaling.json"))
    given = parser.parse_args()
    mixture = read_mixture(MIXTURE, given.data)
    asked = {task.name: fresh_cases(task, given.data, CASES, seed=5) for task in mixture.held_out}
    found = []
    for number in NUMBERS:
        for seed in SEEDS:
            chosen = _chosen(mixture, number, seed)
            scores = _trained(given.base, chosen, given.minutes * 60, asked)
            found.append({"tasks": len(chosen.trained), "seed": seed, "scores": scores})
            print(json.dumps(found[-1]), flush=True)
    given.out.write_text(json.dumps({"minutes": given.minutes, "cases": CASES, "runs": found}, indent=1) + "\n")


def _chosen(mixture: Mixture, number: int, seed: int) -> Mixture:
    """The mixture with `number` of its tasks, drawn by `seed`; all of them for 0."""
    drawn = random.Random(seed).sample(mixture.trained, number) if number else mixture.trained
    return replace(mixture, tasks=drawn, seed=seed)


def _trained(base: str, mixture: Mixture, seconds: float, asked: dict[str, list[Case]]) -> dict[str, float]:
    """The held-out scores after `seconds` of AdamW on the mixture, the rate falling to zero."""
    source = find(base)
    tokenizer, model = open_tokenizer(source.folder), open_weights(source, torch.float32)
    model.train()
    model.config.dropout_rate = 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    stream, start = mixture.stream(), time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 10 * passed / seconds) * (1 - passed / seconds)
        with torch.autocast("cpu", torch.bfloat16):
            loss = objective.loss(model, _batch(tokenizer, list(islice(stream, BATCH))), torch.bfloat16)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    trained = LocalSummarizer(source, model.eval(), tokenizer)
    return {name: round(mean(_answered(trained, cases)), 2) for name, cases in asked.items()}


def _batch(tokenizer: Any, cases: Sequence[Case]) -> dict[str, torch.Tensor]:
    rows = [{"input_ids": encode(tokenizer, case.prompt, WINDOW)[0], "labels": encode(tokenizer, case.answer, 96)[0]} for case in cases]  # fmt: skip
    return dict(DataCollatorForSeq2Seq(tokenizer)(rows))


def _answered(model: Summarizer, cases: Sequence[Case]) -> list[float]:
    """ROUGE-L of each answer; for an answer of one word that is right or wrong."""
    answers = model.summarize([case.prompt for case in cases], Decoding(max_new_tokens=40))
    return [rouge(given.text, [case.answer])["rougeL"] or 0.0 for given, case in zip(answers, cases, strict=True)]


if __name__ == "__main__":
    main()
