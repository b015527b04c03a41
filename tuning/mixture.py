"""Many tasks, one training stream: a task is rows, templates and a metric; a mixture draws from many at proportional rates.

    mixture = read_mixture(Path("assets/mixture.yaml"), data=Path("data"))  # tuning.mixture_file
    mixture.case(7)        # the eighth case of the stream, whoever asks and however many do
    mixture.held_out       # the tasks that never enter the stream

Rates are FLAN's and T5's: a task weighs as many examples as it has, at most `cap`, times its `weight`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, count
from typing import Protocol

from dialogues.dialogue import Problem, Refused

COLUMN = re.compile(r"\{(\w+)\}")
TRIES = 50  # rows that may lack a template's columns before a task is called empty
LONGEST_PROMPT, LONGEST_ANSWER = 1800, 400  # characters; what is longer is no case


class MixtureRefused(Refused):
    """A mixture that cannot be used; problems of a file name their line."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to learn: this prompt, that answer."""

    task: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two patterns with `{column}` placeholders: what is asked, what is answered."""

    prompt: str
    answer: str

    @property
    def columns(self) -> list[str]:
        return COLUMN.findall(self.prompt + self.answer)

    def fill(self, row: Mapping[str, str]) -> tuple[str, str] | None:
        """Both sides with the row's values, or None where the row lacks one, or the case would be too long."""
        if any(not row.get(name) for name in self.columns):
            return None
        prompt, answer = (COLUMN.sub(lambda found: row[found[1]], side).strip() for side in (self.prompt, self.answer))
        return (prompt, answer) if answer and len(prompt) <= LONGEST_PROMPT and len(answer) <= LONGEST_ANSWER else None


class Rows(Protocol):
    """A reader: `len` rows, each a mapping of column to text; `rng` decides what a reader may vary."""

    def __len__(self) -> int: ...

    def row(self, at: int, rng: random.Random) -> Mapping[str, str]: ...

    def texts(self, columns: Sequence[str], rng: random.Random) -> Iterator[str]:
        """Every row as plain text."""
        ...


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of a table file as they are."""

    rows: Sequence[Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, at: int, rng: random.Random) -> Mapping[str, str]:
        return self.rows[at]

    def texts(self, columns: Sequence[str], rng: random.Random) -> Iterator[str]:
        return ("\n".join(row[name] for name in columns if row[name]) for row in self.rows)


@dataclass(frozen=True)
class Task:
    """Rows, several ways to ask about them, and how an answer is judged ("exact" or "rougeL")."""

    name: str
    rows: Rows
    pairs: Sequence[Pair]
    metric: str = "rougeL"
    weight: float = 1.0
    held_out: bool = False

    def case(self, rng: random.Random) -> Case | None:
        """One case, drawn by `rng`; None where `TRIES` rows give none."""
        for _ in range(TRIES):
            row = self.rows.row(rng.randrange(len(self.rows)), rng)
            if filled := rng.choice(self.pairs).fill(row):
                return Case(self.name, *filled)
        return None


@dataclass(frozen=True)
class Mixture:
    """Tasks and the stream drawn from those that are not held out."""

    tasks: Sequence[Task]
    cap: int = 3000
    seed: int = 0

    @property
    def held_out(self) -> list[Task]:
        return [task for task in self.tasks if task.held_out]

    @cached_property
    def trained(self) -> list[Task]:
        return [task for task in self.tasks if not task.held_out]

    @cached_property
    def rates(self) -> list[float]:
        """The share of the stream that each trained task has; sums to 1."""
        weights = [min(len(task.rows), self.cap) * task.weight for task in self.trained]
        return [weight / sum(weights) for weight in weights]

    @cached_property
    def _bounds(self) -> list[float]:
        return list(accumulate(self.rates))

    def case(self, number: int) -> Case:
        """The case with this number in the stream; it depends on nothing but the mixture, its seed and the number."""
        rng = random.Random(f"{self.seed} {number}")
        for _ in range(TRIES):
            task = rng.choices(self.trained, cum_weights=self._bounds)[0]
            if found := task.case(rng):
                return found
        raise MixtureRefused(
            Problem("No task gives any case.", "Check that the files fill the templates' columns.", field="templates")
        )

    def stream(self, worker: int = 0, workers: int = 1) -> Iterator[Case]:
        """The cases of one worker of several, without end; all workers together give the stream of one."""
        return (self.case(number) for number in count(worker, workers))

    def texts(self) -> Iterator[str]:
        """Plain text of everything that the trained tasks are about, each reader's rows once, for span corruption."""
        rng, read = random.Random(self.seed), set[int]()
        for task in self.trained:
            if id(task.rows) not in read:
                read.add(id(task.rows))
                yield from task.rows.texts(
                    list(dict.fromkeys(name for pair in task.pairs for name in pair.columns)), rng
                )
