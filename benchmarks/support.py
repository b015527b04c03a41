"""Learns the weights of `evaluation/support.py`: `python -m benchmarks.support`, a minute of one core.

One error is planted at a time in the true sentences of the shipped training chats; a logistic regression tells them apart,
both sides weighing the same and no signal allowed to count the wrong way round.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.grounding import SHIPPED
from benchmarks.planted import SEED, far_sentence, plant, sentences
from dialogues.dialogue import Dialogue, read_examples
from evaluation.grounding import check
from evaluation.polarity import read
from evaluation.support import SIGNALS, signals

TRAIN = Path(SHIPPED).with_name("train.jsonl")
SIGNS = (1, 1, -1, -1, -1)
RIDGE = 1e-3


def learn() -> tuple[np.ndarray, float]:
    """Weights and bias."""
    rng, told = random.Random(SEED), sentences(list(read_examples(TRAIN)))
    true = [_signals(text, example.dialogue) for text, example in told]
    wrong = [
        _signals(planted.text, example.dialogue)
        for at, (text, example) in enumerate(told)
        for planted in plant(text, example, far_sentence(told, at), rng)
    ]
    values = np.array(true + wrong)
    side = np.concatenate([np.ones(len(true)), -np.ones(len(wrong))])
    share = np.where(side > 0, 0.5 / len(true), 0.5 / len(wrong))

    def loss(weights: np.ndarray) -> float:
        margins = side * (values @ weights[:-1] + weights[-1])
        return float(share @ np.logaddexp(0, -margins) + RIDGE * (weights[:-1] ** 2).sum())

    bounds = [(0, None) if sign > 0 else (None, 0) for sign in SIGNS]
    found = minimize(loss, np.zeros(len(SIGNALS) + 1), method="L-BFGS-B", bounds=[*bounds, (None, None)])
    return found.x[:-1], float(found.x[-1])


def _signals(text: str, dialogue: Dialogue) -> tuple[float, ...]:
    return signals(read(text)[0], dialogue, check(text, dialogue))


if __name__ == "__main__":
    weights, bias = learn()
    print(f"WEIGHTS, BIAS = ({', '.join(f'{weight:.2f}' for weight in weights)}), {bias:.2f}")
