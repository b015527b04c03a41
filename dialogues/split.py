"""Examples become train, validation and test, the same way every time, with no chat in two of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from dialogues.dialogue import Dataset, Example, Problem, Refused

TEST_SHARE, MOST_TEST = 0.15, 200
VALIDATION_SHARE, MOST_VALIDATION = 0.08, 100
NAMED = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


class SplitRefused(Refused):
    """The examples do not suffice for three splits."""


def split_examples(
    name: str, examples: Sequence[tuple[str, Example]], test: Iterable[Example] = ()
) -> tuple[Dataset, tuple[Problem, ...]]:
    """A dataset of three splits, and what had to be left out for it.

    A split that the file names (train, valid, test) is kept; `test` is a file of its own to test on. What is missing
    is cut from the training chats by a hash of their text, so that the same chat always falls into the same split
    and its duplicates fall with it. If only validation is named, it is what people mean to be measured on: the test split.
    """
    parts: dict[str, list[Example]] = {"train": [], "validation": [], "test": list(test)}
    for named, example in examples:
        parts[NAMED.get(named.lower(), "train")].append(example)
    if not parts["test"] and parts["validation"]:
        parts["test"], parts["validation"] = parts["validation"], []
    if not parts["test"]:
        parts["test"], parts["train"] = _cut(parts["train"], TEST_SHARE, MOST_TEST)
    parts["train"], left_out = _without(parts["train"], parts["test"])
    if not parts["validation"]:
        parts["validation"], parts["train"] = _cut(parts["train"], VALIDATION_SHARE, MOST_VALIDATION)
    if empty := [split for split, chosen in parts.items() if not chosen]:
        reason = f"{len(examples)} usable chats leave nothing for {' and '.join(empty)}."
        raise SplitRefused(Problem(reason, "Upload at least 20 different chats."))
    return Dataset(name, {split: tuple(chosen) for split, chosen in parts.items()}), left_out


def _key(example: Example) -> str:
    return hashlib.sha256(example.dialogue.text.casefold().encode()).hexdigest()


def _cut(examples: Sequence[Example], share: float, most: int) -> tuple[list[Example], list[Example]]:
    """The chats with the smallest hashes, and the rest, both in the file's order; duplicates stay together."""
    keys = sorted({_key(example) for example in examples})
    chosen = set(keys[: min(most, round(len(keys) * share))])
    picked = [example for example in examples if _key(example) in chosen]
    return picked, [example for example in examples if _key(example) not in chosen]


def _without(train: Sequence[Example], test: Sequence[Example]) -> tuple[list[Example], tuple[Problem, ...]]:
    """Training chats that are not test chats. A chat in both would be learnt by heart and flatter every score."""
    known = {_key(example) for example in test}
    kept = [example for example in train if _key(example) not in known]
    if len(kept) == len(train):
        return kept, ()
    reason = f"{len(train) - len(kept)} training chats are also test chats and were left out of training."
    return kept, (Problem(reason, "Nothing to do: testing on them stays honest.", field="train/test"),)
