"""A file of chats becomes examples, and every row that cannot be used is named with its reason and remedy."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import charset_normalizer

from dialogues.dialogue import Dialogue, Example, Problem, Refused
from dialogues.turns import one_line, read_turns, unpacked

MAX_BYTES = 20_000_000
MAX_ROWS = 50_000
MAX_CHARACTERS = 100_000  # in one cell; a support chat of a whole day stays well below
FILE_TYPES = (".csv", ".tsv", ".jsonl", ".json")

# What people call their columns, most telling first. Headers are compared trimmed, lower-cased, without BOM.
KNOWN_AS = {
    "dialogue": (
        *("dialogue", "dialog", "chat", "conversation", "transcript", "messages", "turns", "turns_text", "utterances"),
        *("inputs", "input", "text", "source", "document", "body"),
    ),
    "summary": (
        *("summary", "summaries", "reference", "references", "notes", "note", "highlights", "targets", "target"),
        *("outputs", "output", "abstract", "label"),
    ),
    "id": ("id", "fname", "chat_id", "conversation_id", "dialogue_id", "ticket", "ticket_id", "case_id"),
    "topic": ("topic", "category", "subject", "queue", "domain"),
    "split": ("split", "subset", "partition"),
}
REQUIRED = ("dialogue", "summary")


class UploadRefused(Refused):
    """A file, or a row of it, cannot be used; `problems` says why, all at once."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from one file: examples with the split their row names ("" if none), refused rows, columns used."""

    name: str
    rows: int
    examples: tuple[tuple[str, Example], ...]
    problems: tuple[Problem, ...]
    columns: Mapping[str, str]
    encoding: str


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the file with its number as the person's own program shows it."""

    number: int
    cells: Mapping[str, Any]


def read_upload(path: Path, name: str, columns: Mapping[str, str] | None = None) -> Reading:
    """Read chats with summaries: `read_upload(path, "march.csv").examples`.

    `name` is the file's name as the person knows it; `columns` overrides the guess, e.g. `{"summary": "Wrap-up"}`.
    Raises UploadRefused when the file as a whole cannot be used or no row can.
    """
    rows, problems, encoding = read_rows(path, name)
    found = find_columns(rows, columns or {})
    examples: list[tuple[str, Example]] = []
    for row in rows:
        try:
            examples.append(read_example(row, found, name))
        except UploadRefused as refusal:
            problems.extend(refusal.problems)
    problems.sort(key=lambda problem: problem.row or 0)
    if not examples:
        nothing = Problem(
            f"None of the {len(rows)} rows of {name} can be used.", "The reasons stand below, row by row."
        )
        raise UploadRefused(nothing, *problems)
    used = {role: " + ".join(names) for role, names in found.items()}
    return Reading(name, len(rows), tuple(examples), tuple(problems), used, encoding)


def read_rows(path: Path, name: str) -> tuple[list[Row], list[Problem], str]:
    """The file's records, what of it is no record, and its encoding; `name` ends in one of FILE_TYPES.

    Raises UploadRefused where there is no record, too many, or no text.
    """
    text, encoding = _decode(path, name)
    problems: list[Problem] = []
    rows = _rows_of(name)(text, problems)
    if len(rows) > MAX_ROWS:
        raise UploadRefused(
            Problem(
                f"{name} holds {len(rows):,} rows; at most {MAX_ROWS:,} are read at once.",
                f"Give a part of it: a random {MAX_ROWS:,} rows are more than tuning needs.",
            )
        )
    if not rows:
        remedy = "Give a file with a row for each chat: below the header of a table, or one JSON object a line."
        raise UploadRefused(Problem(f"There is no row in {name} that can be read.", remedy), *problems)
    return rows, problems, encoding


def _decode(path: Path, name: str) -> tuple[str, str]:
    """The file's text and encoding. UTF-8 first, as nearly all exports are; else charset-normalizer's best guess."""
    if Path(name).suffix.lower() not in FILE_TYPES:
        kinds = ", ".join(FILE_TYPES)
        raise UploadRefused(Problem(f"{name} is not a type that can be read.", f"Save it as one of {kinds}."))
    size = path.stat().st_size
    if size > MAX_BYTES:
        too_large = f"{name} is {size / 1e6:.1f} MB; at most {MAX_BYTES // 10**6} MB are read at once."
        raise UploadRefused(Problem(too_large, "Give it in parts, or a sample of the rows."))
    raw = path.read_bytes()
    if not raw.strip():
        raise UploadRefused(Problem(f"{name} is empty.", "Check that the export ran, then give it again."))
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        guesses = charset_normalizer.from_bytes(raw)
        # One-byte alphabets are hard to tell apart; where Windows' Western one fits, it is what spreadsheets write.
        western = next((guess for guess in guesses if guess.encoding == "cp1252"), None)
        best = guesses.best()
        if best and western and best.encoding.startswith(("cp125", "iso8859", "latin", "mac")):
            best = western
    if best is None:
        raise UploadRefused(Problem(f"{name} is not text in any known encoding.", "Save it as CSV in UTF-8."))
    return str(best).removeprefix("\ufeff"), best.encoding


def _rows_of(name: str) -> Callable[[str, list[Problem]], list[Row]]:
    return _delimited_rows if Path(name).suffix.lower() in (".csv", ".tsv") else _json_rows


def _delimited_rows(text: str, problems: list[Problem]) -> list[Row]:
    """Rows of a CSV or TSV. A broken row is a problem of its own and the reading goes on behind it."""
    csv.field_size_limit(MAX_BYTES)
    try:
        dialect: Any = csv.Sniffer().sniff(text.lstrip()[:2_000].split("\n", 1)[0], delimiters=",;\t|")
        delimiter = dialect.delimiter
    except csv.Error:
        delimiter = ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    headers: list[str] = []
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return rows
        except csv.Error as error:
            remedy = "Look for a quotation mark that is never closed, or double the ones inside a cell."
            problems.append(Problem(f"The row cannot be read ({_flaw(error)}).", remedy, row=number))
            continue
        if not headers:
            headers = [_header(cell, place) for place, cell in enumerate(cells, 1)]
        elif len(cells) > len(headers):
            reason = f"The row has {len(cells)} cells, the header only {len(headers)}."
            problems.append(Problem(reason, "Put quotation marks around text that holds the separator.", row=number))
        elif any(cells):
            rows.append(Row(number, dict(zip(headers, cells, strict=False))))


def _json_rows(text: str, problems: list[Problem]) -> list[Row]:
    """Rows of JSONL, or of one JSON list. A line that is no JSON object is a problem of its own."""
    if text.lstrip().startswith("["):
        records: Iterable[tuple[int, Any]] = enumerate(_json_list(text), 1)
    else:
        records = _parsed(enumerate(io.StringIO(text, newline=None), 1), problems)
    rows: list[Row] = []
    for number, record in records:
        if isinstance(record, dict):
            rows.append(Row(number, {_header(key, 0): value for key, value in record.items()}))
        else:
            remedy = 'Write an object such as {"dialogue": "…", "summary": "…"}.'
            problems.append(Problem("The line is JSON but not an object.", remedy, row=number))
    return rows


def _json_list(text: str) -> list[Any]:
    try:
        records: list[Any] = json.loads(text)
        return records
    except (ValueError, RecursionError) as error:
        raise UploadRefused(
            Problem(f"The JSON list cannot be read ({_flaw(error)}).", "Save one JSON object a line.")
        ) from error


def _flaw(error: Exception) -> str:
    return "lists within lists, too deep" if isinstance(error, RecursionError) else str(error)


def _parsed(lines: Iterable[tuple[int, str]], problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    """Each line's JSON with its number. A line ends where editors end it, not at the rarer breaks inside a text."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(
                Problem(f"The line is not JSON ({_flaw(error)}).", "Write one JSON object a line.", row=number)
            )


def _header(cell: str, place: int) -> str:
    return one_line(cell.replace("\ufeff", "")).lower() or f"column {place}"


def find_columns(
    rows: list[Row],
    chosen: Mapping[str, str],
    known: Mapping[str, Sequence[str]] = KNOWN_AS,
    required: Sequence[str] = REQUIRED,
) -> dict[str, list[str]]:
    """Which columns hold what, by `chosen` first and by the names each role is `known` by else.

    Raises UploadRefused with every role that was chosen or is required and that no column has.
    """
    headers = list(dict.fromkeys(header for row in rows[:1000] for header in row.cells))
    if strange := [role for role in chosen if role not in known]:
        reason = f"There is no such role: {', '.join(strange)}."
        raise UploadRefused(Problem(reason, f"Choose columns for {', '.join(known)}.", field="columns"))
    found = {role: _matching(role, headers, names, chosen.get(role, "")) for role, names in known.items()}
    missing = [role for role in known if not found[role] and (role in required or chosen.get(role))]
    if missing:
        listed = ", ".join(headers[:20]) or "none"
        raise UploadRefused(
            *(
                Problem(
                    f"No column with the {role} was found; the file's columns are: {listed}.",
                    f"Name the column “{role}”, or say which column it is.",
                    field=role,
                )
                for role in missing
            )
        )
    return {role: names for role, names in found.items() if names}


def _matching(role: str, headers: list[str], names: Sequence[str], chosen: str) -> list[str]:
    """The columns of a role. Several of one name with numbers (summary1, summary2 …) are all references."""
    if chosen:
        return [header for header in headers if header == _header(chosen, 0)]
    for known in names:
        if same := [header for header in headers if header.rstrip("0123456789_ ") == known or header == known]:
            return same if role == "summary" else same[:1]
    return []


def read_example(
    row: Row, columns: Mapping[str, list[str]], name: str, required: Sequence[str] = REQUIRED, fewest: int = 2
) -> tuple[str, Example]:
    """The row's split and example, of `fewest` turns or more; a chat that states no id is named after file and row.

    Raises UploadRefused with every problem of the row.
    """
    problems: list[Problem] = []
    (dialogue_column,) = columns["dialogue"]
    turns = read_turns(row.cells.get(dialogue_column))
    references = tuple(text for column in columns.get("summary", ()) for text in _texts(row.cells.get(column)))
    cell = {
        role: one_line(str(row.cells.get(columns[role][0]) or ""))
        for role in ("id", "topic", "split")
        if role in columns
    }
    if len(turns) < fewest:
        reason = "There is no chat in it." if not turns else "It has only one turn."
        remedy = f"Give at least {'two turns' if fewest > 1 else 'one turn'}, one a line, such as “Customer: …”."
        problems.append(Problem(reason, remedy, row.number, dialogue_column))
    if "summary" in required and not references:
        problems.append(
            Problem("There is no summary.", "Write one, or leave the row out.", row.number, columns["summary"][0])
        )
    said = (part for turn in turns for part in (turn.speaker, turn.text))
    problems += unfit("".join((*said, *references, *cell.values())), row.number, dialogue_column)
    if problems:
        raise UploadRefused(*problems)
    dialogue = Dialogue(cell.get("id") or f"{Path(name).stem}-{row.number}", turns)
    return cell.get("split", ""), Example(dialogue, references, cell.get("topic", ""))


def unfit(text: str, row: int, column: str) -> list[Problem]:
    """What no text of a row may be: longer than MAX_CHARACTERS, or with NUL bytes in it."""
    problems = []
    if len(text) > MAX_CHARACTERS:
        reason = f"It is {len(text):,} characters long; at most {MAX_CHARACTERS:,} are read."
        problems.append(Problem(reason, "Cut it, or leave the row out.", row, column))
    if "\0" in text:
        problems.append(Problem("It holds NUL bytes.", "Export the row again as plain text.", row, column))
    return problems


def _texts(value: Any) -> list[str]:
    """One summary, a list of them, or a list written as JSON in a cell."""
    if isinstance(value, str):
        value = unpacked(value)
    values = value if isinstance(value, list) else [value]
    return [one_line(text) for text in values if isinstance(text, str) and text.strip()]
