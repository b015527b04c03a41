"""What a plan will take and give on this machine, in numbers and in sentences for the screen."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from dialogues.dialogue import Dataset
from prompting.model import count_tokens
from prompting.source import BASE_MODELS, ModelRefused, find
from tuning.accelerator import free_bytes as free_memory
from tuning.accelerator import give_back, gpus, processes
from tuning.plan import (
    FULL,
    LORA,
    QLORA,
    RANK,
    VALIDATED,
    Plan,
    adapter_parameters,
    disk_bytes,
    keeps_moments,
    known_parameters,
    pairs_in,
)

FITS, TIGHT, TOO_LARGE = "fits", "tight", "will not fit"
# Arithmetic (6 x parameters x tokens) a second and core, measured on the bundled model's shape; twelve cores at most
# are counted, because a step's small products cannot keep more of them busy.
RATES = {"fp32": 6e10, "bf16": 1.2e11}
MOST_CORES = 12
START_UP = 15.0  # seconds until the first step
CHARACTERS = 3.5  # a token of English, for a model whose own tokens are not here to be counted
KEPT_PER_TOKEN = 150  # bytes x square root of the parameters
PROCESS = 600_000_000  # bytes: Python and torch before any model
WHOLE = 0.26  # of a model's numbers, about, stays whole under QLoRA: vocabulary, norms, the way out of a feed-forward
FOUR_BITS = 0.52  # bytes a number in four bits, with its share of the scales
FRESH = 900.0  # seconds until steps are timed again: a machine that was busy then may be free now
LEISURE = 100_000_000  # parameters: a larger model takes too long to load and to step for a look at a plan


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan leads to. None means unknown until the model is on this machine.

    `pairs` are chat and reference; `memory` is fits, tight or will not fit; `cut` is the share [0, 1] of chats longer
    than the window; `timed` says whether `seconds` come from steps that were timed here (`time_step`), else from arithmetic.
    """

    plan: Plan
    chats: int  # to train on
    pairs: int
    parameters: int | None
    memory: str | None
    memory_bytes: int | None
    seconds: float | None
    cut: float | None
    timed: bool = False

    @property
    def steps(self) -> int:
        return self.plan.steps

    @property
    def epochs(self) -> float:
        """How many times the run goes over its pairs."""
        return self.plan.steps * self.plan.batch_size / self.pairs

    @property
    def checkpoints(self) -> tuple[int, ...]:
        return self.plan.checkpoints

    @property
    def time(self) -> str:
        """`about 10 minutes`, or `unknown`."""
        return "unknown" if self.seconds is None else in_words(self.seconds)

    @property
    def consequences(self) -> tuple[str, ...]:
        """All of it in plain sentences, one for each thing that follows from the plan."""
        return tuple(_sentences(self))


def forecast(
    plan: Plan, dataset: Dataset, *, base_models: Path = BASE_MODELS, free_bytes: int | None = None
) -> Forecast:
    """`forecast(plan, dataset).consequences`: what `plan`, which `check` let pass, takes on this machine.

    Costs a second or more: the chats are counted in the model's own tokens. The hub is not asked. `free_bytes` of
    memory are looked up unless given. Its time is a measured one where `time_step` has been called before.
    """
    count = known_parameters(plan.base_model, base_models)
    prompts = [plan.prompt.render(e.dialogue) for split in ("train", "test") for e in dataset.splits[split]]
    lengths = _lengths(plan, prompts, base_models)
    guessed = [len(prompt) / CHARACTERS for prompt in prompts]
    tokens = mean(min(length, plan.window) for length in lengths or guessed)
    memory = _memory(plan, count, tokens)
    timed, _ = _steps.get(_like(plan, dataset), (None, 0.0))
    step = _step_seconds(plan, count, tokens) if timed is None else timed
    return Forecast(
        plan=plan,
        chats=len(dataset.splits["train"]),
        pairs=pairs_in(dataset),
        parameters=count,
        memory=_verdict(memory, free_bytes or free_memory()),
        memory_bytes=memory,
        seconds=None if step is None else START_UP + step * (plan.steps + _validations(plan, dataset)),
        cut=mean(length > plan.window for length in lengths) if lengths else None,
        timed=timed is not None,
    )


def time_step(plan: Plan, dataset: Dataset, *, base_models: Path = BASE_MODELS) -> float | None:
    """Seconds of a step of `plan`, from a few that are made and thrown away; kept a while for all plans that step alike.

    Takes some seconds, one caller after the other. None where the model is not on this machine, is larger than LEISURE without a GPU,
    may not fit into the free memory or cannot be made to step here: the run itself then says why.
    """
    key = _like(plan, dataset)
    with _timing:
        if key not in _steps or time.monotonic() - _steps[key][1] > FRESH:
            _steps[key] = _timed(plan, dataset, base_models), time.monotonic()
            give_back()  # this process goes on, and the memory is for the runs
        return _steps[key][0]


_steps: dict[Hashable, tuple[float | None, float]] = {}  # and when they were timed
_timing = threading.Lock()


def _like(plan: Plan, dataset: Dataset) -> Hashable:
    """Plans of which this agrees take equally long a step."""
    chosen = (plan.base_model, plan.method, plan.batch_size, plan.window, plan.precision, plan.template)
    return chosen, dataset.digest


def _timed(plan: Plan, dataset: Dataset, base_models: Path) -> float | None:
    count = known_parameters(plan.base_model, base_models)
    if count is None or (count > LEISURE and not gpus()):
        return None
    try:
        find(plan.base_model, base_models, fetch=False)
        if forecast(plan, dataset, base_models=base_models).memory != FITS:
            return None  # this process serves everybody: it may not run out of memory
        from tuning.warmup import step_seconds  # torch: only now

        return step_seconds(plan, dataset, base_models)
    except Exception:  # a model can fail to step in any way
        return None


def in_words(seconds: float) -> str:
    """`about 10 minutes`: no finer than a forecast can be."""
    if seconds < 90:
        return "about a minute" if seconds > 40 else "less than a minute"
    minutes = seconds / 60
    if minutes < 90:
        return f"about {round(minutes) if minutes < 10 else round(minutes / 5) * 5} minutes"
    return f"about {round(minutes / 60)} hours" if minutes < 36 * 60 else f"about {round(minutes / 1440)} days"


def _lengths(plan: Plan, prompts: list[str], base_models: Path) -> list[int]:
    """Tokens of each prompt; empty where the model's files are not here."""
    try:
        find(plan.base_model, base_models, fetch=False)
        return count_tokens(plan.base_model, prompts, base_models)
    except ModelRefused:
        return []


def _memory(plan: Plan, count: int | None, tokens: float) -> int | None:
    """Bytes of each process: weights and what belongs to those that learn; what a step keeps of its longest batch."""
    if count is None:
        return None
    together, longest = processes(plan.batch_size), min(plan.window, 2 * tokens)
    kept = (
        plan.batch_size / together * longest * KEPT_PER_TOKEN * math.sqrt(count)
    )  # activations grow with depth x width
    learning = adapter_parameters(count) if plan.adapts else count
    exchanged = 4 * learning if together > 1 else 0  # gradients on their way from GPU to GPU
    return int(PROCESS + _weight_bytes(plan, count) + exchanged + kept)


def _weight_bytes(plan: Plan, count: int) -> float:
    """Of the weights and, where all are tuned, gradients and the optimizer's; of QLoRA's addition those and its optimizer's."""
    if plan.method == QLORA:
        kept = 2 if plan.precision == "bf16" else 4
        return count * (WHOLE * kept + (1 - WHOLE) * FOUR_BITS) + 10 * adapter_parameters(count)
    if plan.adapts:
        return count * 4
    return count * (16 if keeps_moments(plan, count) else 12)


def _verdict(memory: int | None, free: int) -> str | None:
    if memory is None:
        return None
    return FITS if memory < 0.6 * free else TIGHT if memory < 0.9 * free else TOO_LARGE


def _validations(plan: Plan, dataset: Dataset) -> float:
    """How many steps the validations take as long as, at the start and at each checkpoint: a third of one a batch."""
    chats = min(VALIDATED, len(dataset.splits["validation"]))
    return (len(plan.checkpoints) + 1) * math.ceil(chats / plan.batch_size) / 3


def _step_seconds(plan: Plan, count: int | None, tokens: float) -> float | None:
    """By arithmetic, where no step has been timed."""
    if count is None or gpus():  # no GPU's rate has been measured yet
        return None
    rate = RATES[plan.precision] * min(MOST_CORES, os.cpu_count() or 1)
    return plan.batch_size * tokens * 6 * count / rate


_METHOD_WORDS = {
    FULL: "Full tuning changes all of the model: it learns most, and each checkpoint is as large as the model.",
    LORA: f"LoRA leaves the model as it is and learns a small addition of rank {RANK}: less memory and small checkpoints.",
    QLORA: f"QLoRA keeps the model in four bits, with some loss, and learns a small addition of rank {RANK}: least memory.",
}
_PRECISION_WORDS = {
    "fp32": "Numbers are kept and multiplied in fp32, the safe choice.",
    "bf16": "Numbers are kept in fp32 and multiplied in bf16, which T5 bears well and which is quicker here.",
}
_MEMORY_ADVICE = {FITS: "", TIGHT: " Close other programs.", TOO_LARGE: " Choose LoRA or a smaller model."}


def _sentences(known: Forecast) -> Iterator[str]:
    plan = known.plan
    yield (
        f"{plan.steps:,} steps of {plan.batch_size} pairs go over the {known.pairs:,} pairs of your {known.chats:,} "
        f"training chats {known.epochs:.{0 if known.epochs >= 10 else 1}f} times."
    )
    yield f"Weights are kept after {_listed(plan.checkpoints)}; each is compared with the untouched model."
    if known.parameters:
        yield f"They take about {_size_words(disk_bytes(plan, known.parameters))} of disk."
    yield f"{_METHOD_WORDS[plan.method]} The learning rate is {plan.learning_rate:g}."
    yield _memory_words(known)
    yield _time_words(known)
    yield _cut_words(known.cut, plan.window)
    yield _PRECISION_WORDS[plan.precision]


def _memory_words(known: Forecast) -> str:
    if known.memory is None or known.memory_bytes is None:
        return "How much memory it needs is unknown until the model is on this machine."
    return f"It needs about {known.memory_bytes / 1e9:.1f} GB of memory: {known.memory}.{_MEMORY_ADVICE[known.memory]}"


def _time_words(known: Forecast) -> str:
    if known.seconds is None:
        return f"How long it takes is unknown until {'a few of its steps were timed' if gpus() else 'the model is'} on this machine."
    how = "by a few steps timed on these chats" if known.timed else "by an estimate from its size"
    return f"It takes {known.time} on this machine, {how}; you may close the page meanwhile."


def _size_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size > 1e9 else f"{max(1, round(size / 1e6))} MB"


def _cut_words(cut: float | None, window: int) -> str:
    if cut is None:
        return f"The model reads {window} tokens of a chat; how many chats are longer is unknown until it is here."
    if not cut:
        return f"No chat is longer than the {window} tokens that the model reads."
    share = "Less than 1%" if cut < 0.01 else f"{cut:.0%}"
    return f"{share} of the chats are longer than the {window} tokens that the model reads: their ends are cut off."


def _listed(steps: tuple[int, ...]) -> str:
    *firsts, last = map(str, steps)
    return f"steps {', '.join(firsts)} and {last}" if firsts else f"step {last}"
