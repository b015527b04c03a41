"""What a person may choose, the plan that follows from it, and what is refused before any work starts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from dialogues.dialogue import Dataset, Problem, Refused
from prompting.catalog import DEFAULT, TEMPLATES
from prompting.model import count_tokens
from prompting.source import BASE_MODELS, BUNDLED, ModelRefused, NotFetched, find, parameters
from prompting.template import Template, TemplateRefused
from tuning.accelerator import has_bf16, no_qlora

FULL, LORA, QLORA = "full", "lora", "qlora"
METHODS = (FULL, LORA, QLORA)
RANK = 16  # of a LoRA's matrices
WINDOW = 512  # tokens
BATCH_SIZE = 8  # pairs a step
FEWEST_CHATS = 20  # to train on
ADAPTER = 0.08  # of a model's numbers, at most, is a LoRA of that rank; it grows with their square root
VALIDATED = 64  # chats that the validation loss is taken over: enough for a curve, quick enough for every checkpoint
MOST_CUT = 0.05  # of the summaries may be longer than the window
SMALL = 50_000_000  # parameters; models below it learn with larger steps
# Parameters below which all weights are tuned with AdamW: fused, it takes a fifth of Adafactor's time on a CPU. Larger
# models go without its two numbers for each of theirs.
LIGHT = 100_000_000
MOST = {"steps": 10_000_000, "batch_size": 4096, "learning_rate": 1, "window": 8192}


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
    method: str  # "full", "lora", or "qlora": a LoRA on the model in four bits
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

    @property
    def adapts(self) -> bool:
        """Whether the model itself stays as it is and a small addition to it is learned."""
        return self.method in (LORA, QLORA)

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
    base_models: Path = BASE_MODELS,
    free_bytes: int | None = None,
    **own: Any,
) -> Plan:
    """`propose(dataset, "bundled", "full", "quick", "summarize")`: the whole plan from the few things one chooses.

    Everything else follows, unless `own` gives it: `precision` (else bf16 where this machine's GPU or processor computes
    in it), `learning_rate`, `batch_size`, `steps`, `window`, `seed`; None counts as not given. `free_bytes` of disk are not
    looked at unless given. Raises PlanRefused.
    """
    own = {name: value for name, value in own.items() if value is not None}
    batch_size = int(own.get("batch_size", BATCH_SIZE))
    plan = Plan(
        base_model, method, size, template, _steps(dataset, size, batch_size), BATCH_SIZE,
        _learning_rate(base_model, method, base_models), WINDOW, "bf16" if has_bf16() else "fp32", seed=0,
    )  # fmt: skip
    plan = replace(plan, **own)
    check(plan, dataset, base_models, free_bytes)
    return plan


def check(plan: Plan, dataset: Dataset, base_models: Path = BASE_MODELS, free_bytes: int | None = None) -> None:
    """Raises PlanRefused with everything that is wrong with this plan for these chats, on a disk with so much room."""
    wrong = _choice_problems(plan)
    problems = [*_model_problems(plan, base_models), *wrong, *_data_problems(dataset)]
    if not problems:  # else neither can be told
        problems = [*_disk_problems(plan, base_models, free_bytes), *_target_problems(plan, dataset, base_models)]
    try:
        _ = plan.prompt
    except TemplateRefused as refused:
        problems += refused.problems
    if problems:
        raise PlanRefused(*problems)


def pairs_in(dataset: Dataset) -> int:
    """Each reference of each training chat is one pair to learn from."""
    return sum(len(example.references) for example in dataset.splits["train"])


def disk_bytes(plan: Plan, count: int) -> int:
    """What the checkpoints take, with what the newest needs to be resumed from; `count` numbers in the model."""
    learned = adapter_parameters(count) if plan.adapts else count
    resumed = 3 if keeps_moments(plan, count) else 1
    return 4 * learned * (len(plan.checkpoints) + resumed)


def keeps_moments(plan: Plan, count: int | None) -> bool:
    """Whether AdamW does the learning, which keeps two more numbers for each that learns; else Adafactor, which does not."""
    return plan.adapts or (count is not None and count < LIGHT)


def adapter_parameters(count: int) -> int:
    """How many numbers a LoRA of RANK adds to a FLAN-T5 of `count`, at most: its matrices grow with the model's width."""
    return int(min(ADAPTER * count, 700 * math.sqrt(count)))


def _steps(dataset: Dataset, size: str, batch_size: int) -> int:
    notch = SIZES.get(size, SIZES["standard"])  # an unknown size is refused by `check`
    return max(1, min(notch.most_steps, math.ceil(notch.epochs * pairs_in(dataset) / max(1, batch_size))))


def known_parameters(base_model: str, base_models: Path = BASE_MODELS) -> int | None:
    """How many numbers the model holds, or None where it is not known before the model has been fetched."""
    try:
        return parameters(base_model, base_models)
    except ModelRefused:
        return None


def _learning_rate(base_model: str, method: str, base_models: Path) -> float:
    count = known_parameters(base_model, base_models)
    small = base_model == BUNDLED or (count is not None and count < SMALL)
    if method in (LORA, QLORA):
        return 2e-3 if small else 1e-3
    return 6e-4 if small else 3e-4


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
    if plan.method not in METHODS:
        problems.append(
            Problem(f"There is no method {plan.method!r}.", f"Choose {', '.join(METHODS)}.", field="method")
        )
    if plan.method == QLORA and (why := no_qlora()):
        problems.append(Problem(why, "Choose lora.", field="method"))
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
        Problem(
            f"The {name.replace('_', ' ')} is {getattr(plan, name)}.",
            f"It must be above zero and at most {most:,}.",
            field=name,
        )
        for name, most in MOST.items()
        if not 0 < getattr(plan, name) <= most  # nan is neither
    ]
    return problems


def _disk_problems(plan: Plan, base_models: Path, free: int | None) -> list[Problem]:
    count = known_parameters(plan.base_model, base_models)
    if free is None or count is None or (needed := disk_bytes(plan, count)) < free:
        return []
    reason = f"The checkpoints take about {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left."
    remedy = "Delete runs that are no longer needed, choose LoRA, a smaller model or a smaller size."
    return [Problem(reason, remedy, field="disk")]


def _target_problems(plan: Plan, dataset: Dataset, base_models: Path) -> list[Problem]:
    """A summary that is cut teaches the model to stop in the middle of a sentence."""
    references = [text for example in dataset.splits["train"] for text in example.references]
    long = [text for text in references if len(text.encode()) >= plan.window]  # a token is a byte at least
    if len(long) <= MOST_CUT * len(references):
        return []
    try:
        find(plan.base_model, base_models, fetch=False)
        cut = sum(length > plan.window for length in count_tokens(plan.base_model, long, base_models))
    except ModelRefused:
        return []  # not known before the model is here
    if cut <= MOST_CUT * len(references):
        return []
    reason = f"{cut:,} of {len(references):,} summaries are longer than the window of {plan.window} tokens."
    return [Problem(reason, "Shorten them, or choose a larger window.", field="window")]


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
