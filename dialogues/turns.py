"""The several ways people write down a chat, all read into turns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dialogues.dialogue import Turn

UNNAMED = "Message"  # the speaker of a turn that nobody signed: a guess would put words into somebody's mouth
ROLES = {"user": "Customer", "human": "Customer", "assistant": "Agent", "bot": "Agent", "gpt": "Agent"}
SPEAKER_KEYS = ("speaker", "role", "from", "author", "name", "sender")
TEXT_KEYS = ("text", "content", "value", "utterance", "message", "body")

# "Name: text". A name is at most four words, no number alone (10:30), no address (https:).
SIGNED = re.compile(r"^\s*(?!https?:)(#?[^\W\d_][\w.'’#-]*(?: [\w.'’#()-]+){0,3})\s*:(?:\s+|$)(.*)$", re.DOTALL)
BREAK = re.compile(r"<br ?/?>|\r\n?|\n", re.IGNORECASE)  # no runs of blanks: a long one would take its square in time
HALF = re.compile("[\ud800-\udfff]")  # half a character, as where an export cut an emoji in two: no file can hold it


def read_turns(value: Any) -> tuple[Turn, ...]:
    """Turns of one chat, empty if there is none in it.

    Reads `Name: text` a line (also `#Person1#:`, and `<BR>` for line ends), a list of `{role, content}` or
    `{speaker, text}`, a list of such lines, and any of these lists written as JSON in a text cell.
    """
    if isinstance(value, str):
        value = unpacked(value)
    if isinstance(value, str):
        return _from_lines(BREAK.split(value))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _from_lines(value)
    if isinstance(value, list):
        return tuple(turn for item in value if isinstance(item, Mapping) for turn in _from_record(item))
    return ()


def unpacked(text: str) -> Any:
    """The list that a cell holds as JSON, or the text itself."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, a number without end, lists without end
        return text


def one_line(text: str) -> str:
    """The text with single blanks and whole characters: prompts, offsets, files and the screen all count on it."""
    return HALF.sub("\ufffd", " ".join(text.split()))


def _from_record(record: Mapping[str, Any]) -> list[Turn]:
    speaker = next((str(record[key]) for key in SPEAKER_KEYS if record.get(key)), UNNAMED)
    text = next((record[key] for key in TEXT_KEYS if isinstance(record.get(key), str)), "")
    speaker = one_line(speaker)
    return [Turn(ROLES.get(speaker.lower(), speaker), one_line(text))] if text.strip() else []


def _from_lines(lines: list[str]) -> tuple[Turn, ...]:
    """Signed lines open a turn and unsigned ones go on with it; if none is signed, each line is a turn."""
    lines = [line for line in lines if line.strip()]
    signed = [SIGNED.match(line) for line in lines]
    if not any(signed):
        return tuple(Turn(UNNAMED, one_line(line)) for line in lines)
    turns: list[Turn] = []
    for line, match in zip(lines, signed, strict=True):
        if match:
            turns.append(Turn(match[1].strip(), one_line(match[2])))
        elif turns:
            turns[-1] = Turn(turns[-1].speaker, f"{turns[-1].text} {one_line(line)}".strip())
        else:
            turns.append(Turn(UNNAMED, one_line(line)))
    return tuple(turn for turn in turns if turn.text)
