"""What a dataset looks like before anything is spent on it: sizes, lengths, duplicates, leakage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from dialogues.dialogue import SPLITS, Dataset, Example


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts per split, medians over all chats, and the chats that occur twice in a split or in two splits."""

    chats: dict[str, int]
    turns: float
    words: float
    summary_words: float
    references: float
    duplicates: int
    leaked: int
    unsigned: int


def profile(dataset: Dataset) -> Profile:
    """Describe the dataset: `profile(dataset).leaked` test chats also stand in train or validation."""
    every = [example for split in SPLITS for example in dataset.splits[split]]
    texts = {split: [example.dialogue.text for example in dataset.splits[split]] for split in SPLITS}
    seen = set(texts["train"]) | set(texts["validation"])
    return Profile(
        chats={split: len(dataset.splits[split]) for split in SPLITS},
        turns=median(len(example.dialogue.turns) for example in every),
        words=median(len(example.dialogue.text.split()) for example in every),
        summary_words=median(_reference_words(every)),
        references=sum(len(example.references) for example in every) / len(every),
        duplicates=sum(len(part) - len(set(part)) for part in texts.values()),
        leaked=sum(text in seen for text in texts["test"]),
        unsigned=sum(_unsigned(example) for example in every),
    )


def _reference_words(examples: Sequence[Example]) -> list[int]:
    return [len(reference.split()) for example in examples for reference in example.references]


def _unsigned(example: Example) -> bool:
    """Nobody in the chat is named: who said what is not known."""
    return len({turn.speaker for turn in example.dialogue.turns}) == 1
