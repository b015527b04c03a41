"""Turn, Dialogue, Example, Dataset: the plain values every room speaks in, with JSON both ways."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what a person gave us, and what they can do about it.

    `row` is the row of their file as their own program numbers it (header = 1), or None when it is about the whole.
    """

    reason: str
    remedy: str
    row: int | None = None
    field: str = ""

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"row {self.row}" if self.row else "", self.field) if part)
        return f"{where + ': ' if where else ''}{self.reason} {self.remedy}"


class Refused(Exception):
    """A room says no: `problems` holds every reason at once, each with its remedy. Never empty."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Turn:
    """One message: who said it, and what they said."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A chat: its id and its turns in order. `text` is the one canonical rendering every prompt and check uses."""

    id: str
    turns: tuple[Turn, ...]

    @property
    def text(self) -> str:
        """`Speaker: what they said`, one turn a line."""
        return "\n".join(f"{turn.speaker}: {turn.text}" for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Example:
    """A dialogue with the summaries people wrote of it, and, where known, its topic and key facts."""

    dialogue: Dialogue
    references: tuple[str, ...]
    topic: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.dialogue.id,
            "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in self.dialogue.turns],
            "references": list(self.references),
            "topic": self.topic,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Example:
        turns = tuple(Turn(turn["speaker"], turn["text"]) for turn in record["turns"])
        return cls(
            Dialogue(record["id"], turns),
            tuple(record["references"]),
            record.get("topic", ""),
            dict(record.get("facts", {})),
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Named examples in the three splits `train`, `validation`, `test`; the digest names exactly this data."""

    name: str
    splits: Mapping[str, tuple[Example, ...]]

    @property
    def digest(self) -> str:
        """Sixteen hex digits of SHA-256 over the canonical JSON of all splits; the name does not enter."""
        sha = hashlib.sha256()
        for split in SPLITS:
            sha.update(split.encode())
            for example in self.splits[split]:
                sha.update(json.dumps(example.to_json(), sort_keys=True, ensure_ascii=True).encode())
        return sha.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write `name.txt` and one JSONL a split into `folder`; the name is written last."""
        folder.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            write_examples(folder / f"{split}.jsonl", self.splits[split])
        (folder / "name.txt").write_text(self.name, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        name = (folder / "name.txt").read_text(encoding="utf-8")
        return cls(name, {split: read_examples(folder / f"{split}.jsonl") for split in SPLITS})


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write one JSON object a line, UTF-8."""
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            file.write(json.dumps(example.to_json(), ensure_ascii=False) + "\n")


def read_examples(path: Path) -> tuple[Example, ...]:
    """Read back what `write_examples` wrote."""
    with path.open(encoding="utf-8") as file:
        return tuple(Example.from_json(json.loads(line)) for line in file)
