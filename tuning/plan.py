"""What a person may choose, the plan that follows from it, and what is refused before any work starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from dialogues.dialogue import Dataset, Problem, Refused
from prompting.catalog import DEFAULT, TEMPLATES
from prompting.source import BASE_MODELS, BUNDLED, ModelRefused, NotFetched, find, parameters
from prompting.template import Template, TemplateRefused

FULL, LORA = "full", "lora"
RANK = 16  # of a LoRA's matrices
WINDOW = 512  # tokens
BATCH_SIZE = 8  # pairs a step
FEWEST_CHATS = 20  # to train on
SMALL = 50_000_000  # parameters; models below it learn with larger steps


@dataclass(frozen=True, slots=True)
class Size:
    """One notch of the dial: passes over the data, a bound on steps for large data, and how often to keep weights."""

    epochs: int
    most_steps: int
    checkpoints: int


SIZES = {"quick": Size(3, 250, 4), "standard": Size(12, 900, 5), "thorough": Size(30, 2400, 8)}


class PlanRefused(Refused):
    """The plan cannot be carried out: every reason at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run is made from besides its data. `template` is a name of ours or a pattern with {dialogue}."""

    base_model: str
    method: str  # "full" or "lora"
    size: str  # "quick", "standard" or "thorough"
    template: str
    steps: int
    batch_size: int
    learning_rate: float
    window: int  # tokens read of a prompt
    precision: str  # "fp32" or "bf16"
    seed: int

    @property
    def prompt(self) -> Template:
        """The template itself. Raises TemplateRefused."""
        return TEMPLATES.get(self.template) or Template("own", self.template)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The steps after which weights are kept: evenly spaced, the last one among them."""
        count = min(SIZES[self.size].checkpoints, self.steps)
        return tuple(round(self.steps * (number + 1) / count) for number in range(count))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Plan:
        return cls(**{field.name: record[field.name] for field in fields(cls)})


def propose(
    dataset: Dataset,
    base_model: str = BUNDLED,
    method: str = FULL,
    size: str = "standard",
    template: str = DEFAULT.name,
    *,
    precision: str | None = None,
    seed: int = 0,
    base_models: Path = BASE_MODELS,
) -> Plan:
    """`propose(dataset, "bundled", "full", "quick", "summarize")`: the whole plan from the few things one chooses.

    `precision` is bf16 where this machine's processor computes in it, unless given. Raises PlanRefused.
    """
    plan = Plan(
        base_model, method, size, template, _steps(dataset, size), BATCH_SIZE,
        _learning_rate(base_model, method, base_models), WINDOW,
        precision or ("bf16" if has_bf16() else "fp32"), seed,
    )  # fmt: skip
    check(plan, dataset, base_models)
    return plan


def check(plan: Plan, dataset: Dataset, base_models: Path = BASE_MODELS) -> None:
    """Raises PlanRefused with everything that is wrong with this plan for these chats."""
    problems = [*_model_problems(plan, base_models), *_choice_problems(plan), *_data_problems(dataset)]
    try:
        _ = plan.prompt
    except TemplateRefused as refused:
        problems += refused.problems
    if problems:
        raise PlanRefused(*problems)


@lru_cache(maxsize=1)
def has_bf16() -> bool:
    """Whether the processor multiplies bf16 numbers itself; where it does not, bf16 would only be slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def pairs_in(dataset: Dataset) -> int:
    """Each reference of each training chat is one pair to learn from."""
    return sum(len(example.references) for example in dataset.splits["train"])


def _steps(dataset: Dataset, size: str) -> int:
    notch = SIZES.get(size, SIZES["standard"])  # an unknown size is refused by `check`
    return max(1, min(notch.most_steps, math.ceil(notch.epochs * pairs_in(dataset) / BATCH_SIZE)))


def known_parameters(base_model: str, base_models: Path = BASE_MODELS) -> int | None:
    """How many numbers the model holds, or None where it is not known before the model has been fetched."""
    try:
        return parameters(base_model, base_models)
    except ModelRefused:
        return None


def _learning_rate(base_model: str, method: str, base_models: Path) -> float:
    count = known_parameters(base_model, base_models)
    if base_model == BUNDLED or (count and count < SMALL):
        return 2e-3 if method == LORA else 1e-3
    return 1e-3 if method == LORA else 3e-4


def _model_problems(plan: Plan, base_models: Path) -> list[Problem]:
    try:
        found = find(plan.base_model, base_models, fetch=False)
    except NotFetched:
        return []  # the run fetches it
    except ModelRefused as refused:
        return list(refused.problems)
    if found.adapter:
        return [Problem(f"{found.name} is an adapter.", "Tune the model that it was made on.", field="model")]
    return []


def _choice_problems(plan: Plan) -> list[Problem]:
    problems = []
    if plan.method not in (FULL, LORA):
        problems.append(Problem(f"There is no method {plan.method!r}.", "Choose full or lora.", field="method"))
    if plan.size not in SIZES:
        problems.append(Problem(f"There is no size {plan.size!r}.", f"Choose {', '.join(SIZES)}.", field="size"))
    if plan.precision == "fp16":
        reason = "T5 overflows in fp16: its sums grow past 65,504 and the loss turns to NaN."
        problems.append(Problem(reason, "Choose bf16 or fp32.", field="precision"))
    elif plan.precision not in ("fp32", "bf16"):
        problems.append(
            Problem(f"There is no precision {plan.precision!r}.", "Choose bf16 or fp32.", field="precision")
        )
    problems += [
        Problem(f"The {name.replace('_', ' ')} is {getattr(plan, name)}.", "It must be above zero.", field=name)
        for name in ("steps", "batch_size", "learning_rate", "window")
        if not getattr(plan, name) > 0
    ]
    return problems


def _data_problems(dataset: Dataset) -> list[Problem]:
    problems = []
    train, test = len(dataset.splits["train"]), len(dataset.splits["test"])
    if train < FEWEST_CHATS:
        reason = f"There are {train} chats to train on; fewer than {FEWEST_CHATS} teach nothing that would last."
        problems.append(Problem(reason, "Add chats, or take the set that we ship.", field="train"))
    if not test:
        reason = "The test split is empty, so nothing could be proved about the result."
        problems.append(Problem(reason, "Leave some chats for testing.", field="test"))
    bare = sum(not example.references for example in dataset.splits["train"])
    if bare:
        problems.append(
            Problem(f"{bare} training chats have no summary.", "Give each one at least one.", field="train")
        )
    return problems
