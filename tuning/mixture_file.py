"""A YAML file becomes a mixture of tasks, or every problem in it, each with its line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from dialogues.dialogue import Example, Problem
from tuning.chat_rows import ChatRows
from tuning.chats import records
from tuning.mixture import Mixture, MixtureRefused, Pair, TableRows, Task

METRICS = ("exact", "rougeL")
READERS: dict[str, Callable[[Path], ChatRows]] = {"chats": ChatRows, "short chats": partial(ChatRows, longest=3)}
PAIRS = ("templates", "inverted", "thoughts")
PLAIN = ("metric", "weight", "held_out")
KEYS = {"name", "file", "reader", "where", "each", "without", *PAIRS, *PLAIN}


def read_mixture(path: Path, data: Path, seed: int = 0) -> Mixture:
    """The mixture that a YAML file describes, its files looked up in `data`.

    Each entry of `tasks` names a `file` (JSONL, also gzipped, or CSV) or a `reader`, its `templates` as pairs of patterns,
    and, if wanted, `name`, `where` (column: values), `each` (a column: one task a value) with `without`, `inverted` and
    `thoughts` (more pairs: asked the other way round, and answered with reasons), `metric`, `weight`, `held_out`.
    Raises MixtureRefused with every problem, each with its line.
    """
    reading = _Reading(data)
    reading.read(path)
    if not reading.problems and all(task.held_out for task in reading.tasks):
        reading.problems.append(
            Problem("The mixture has no task to learn.", "Add an entry under tasks.", field="tasks")
        )
    if reading.problems:
        raise MixtureRefused(*reading.problems)
    return Mixture(reading.tasks, reading.cap, seed)


class _Reading:
    """One pass over a mixture file: the tasks it gives, and its problems."""

    def __init__(self, data: Path) -> None:
        self.data, self.cap = data, 3000
        self.problems: list[Problem] = []
        self.tasks: list[Task] = []
        self._opened: dict[str, Any] = {}  # a file's rows or a reader, by name: several tasks share it

    def read(self, path: Path) -> None:
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            self._refuse(error.problem_mark, f"This is not YAML: {error.problem}.", "Mend the line.", "file")
            return
        top = self._mapping(node, {"cap", "tasks"})
        self.cap = _value(top["cap"]) if "cap" in top else self.cap
        for entry in top["tasks"].value if isinstance(top.get("tasks"), yaml.SequenceNode) else []:
            self._entry(entry)

    def _entry(self, node: yaml.Node) -> None:
        fields, before = self._mapping(node, KEYS), len(self.problems)
        rows = self._rows(node, fields)
        pairs = [pair for key in PAIRS for pair in self._pairs(fields.get(key))]
        plain = {key: _value(fields[key]) for key in PLAIN if key in fields}
        if plain.get("metric", "exact") not in METRICS:
            self._refuse(fields["metric"].start_mark, f"The metric {plain['metric']} is not known.", f"Use one of {', '.join(METRICS)}.", "metric")  # fmt: skip
        if not pairs:
            self._refuse(node.start_mark, "The task has no templates.", 'Add templates: [["{question}", "{answer}"]].', "templates")  # fmt: skip
        if len(self.problems) == before:
            self._add(fields, rows, pairs, plain)

    def _add(self, fields: dict[str, yaml.Node], rows: Any, pairs: list[Pair], plain: dict[str, Any]) -> None:
        name = str(_value(fields["name"])) if "name" in fields else str(_value(fields.get("file") or fields["reader"]))
        if isinstance(rows, ChatRows) or "each" not in fields:
            self.tasks.append(Task(name, rows if isinstance(rows, ChatRows) else TableRows(rows), pairs, **plain))
            return
        column, without = _value(fields["each"]), _value(fields["without"]) if "without" in fields else []
        for value in dict.fromkeys(row[column] for row in rows if row[column] not in without):
            own = TableRows([row for row in rows if row[column] == value])
            self.tasks.append(Task(value, own, pairs, **plain))

    def _rows(self, node: yaml.Node, fields: dict[str, yaml.Node]) -> Any:
        if "reader" in fields:
            reader = _value(fields["reader"])
            if reader in READERS:
                return self._opened.setdefault(reader, READERS[reader](self.data))
            self._refuse(fields["reader"].start_mark, f"The reader {reader} is not known.", f"Use one of {', '.join(READERS)}.", "reader")  # fmt: skip
        elif "file" in fields:
            return self._chosen(self._table(fields["file"]), fields)
        else:
            self._refuse(node.start_mark, "The task names neither file nor reader.", "Add file: NAME.", "file")
        return []

    def _table(self, node: yaml.Node) -> list[dict[str, str]]:
        name = str(_value(node))
        path = self.data / name
        if not path.is_file():
            self._refuse(node.start_mark, f"There is no file {name} in the data folder.", "Check its name.", "file")
            return []
        if name not in self._opened:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                rows = csv.DictReader(lines) if path.suffix == ".csv" else records(path)
                self._opened[name] = [_columns(row) for row in rows]
        return self._opened[name]

    def _chosen(self, rows: list[dict[str, str]], fields: dict[str, yaml.Node]) -> list[dict[str, str]]:
        """The rows that `where` lets through; columns that the file lacks are refused."""
        if not rows:
            return []
        where = {column: value if isinstance(value, list) else [value] for column, value in (_value(fields["where"]) if "where" in fields else {}).items()}  # fmt: skip
        named = {key: [name for pair in self._pairs(fields.get(key)) for name in pair.columns] for key in PAIRS}
        named |= {"where": list(where), "each": [_value(fields["each"])] if "each" in fields else []}
        for key, columns in named.items():
            for column in sorted(set(columns) - set(rows[0])):
                self._refuse(fields[key].start_mark, f"The file has no column {column}.", f"It has {', '.join(rows[0])}.", key)  # fmt: skip
        return [row for row in rows if all(row.get(column) in values for column, values in where.items())]

    def _pairs(self, node: yaml.Node | None) -> list[Pair]:
        pairs = _value(node) if node is not None else []
        if isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            return [Pair(*map(str, pair)) for pair in pairs]
        self._refuse(node and node.start_mark, "A template is not a pair.", 'Write ["what is asked {column}", "{answer}"].', "templates")  # fmt: skip
        return []

    def _mapping(self, node: yaml.Node | None, known: set[str]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node and node.start_mark, "Keys with values were expected.", f"Known keys: {', '.join(sorted(known))}.", "file")  # fmt: skip
            return {}
        for key, _ in node.value:
            if key.value not in known:
                self._refuse(key.start_mark, f"The key {key.value} is not known.", f"Known keys: {', '.join(sorted(known))}.", str(key.value))  # fmt: skip
        return {key.value: value for key, value in node.value}

    def _refuse(self, mark: Any, reason: str, remedy: str, key: str) -> None:
        self.problems.append(Problem(reason, remedy, row=mark.line + 1 if mark else None, field=key))


def _value(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_document(node)


def _columns(row: dict[str, Any]) -> dict[str, str]:
    """A row's cells as text; a chat in our own form becomes `dialogue`, `opening`, `summary`, `topic` and its facts."""
    if "turns" not in row:
        return {key: _text(cell) for key, cell in row.items()}
    example = Example.from_json(row)
    told = {"dialogue": example.dialogue.text, "opening": example.dialogue.turns[0].text}
    return {**example.facts, **told, "summary": example.references[0], "topic": example.topic}


def _text(cell: Any) -> str:
    """A cell as text: of several answers the first, of none nothing."""
    if isinstance(cell, list):
        return _text(cell[0]) if cell else ""
    return "" if cell is None else str(cell)
