"""A room's refusal becomes a message that a person can act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

import gradio as gr

from dialogues.dialogue import Problem, Refused
from sharing.sheet import tag

SHOWN = 50  # problems listed on the screen; the download holds all


@contextmanager
def as_messages(title: str) -> Iterator[None]:
    """Show a refusal raised inside as a toast; its first problems stand in it, in words, which a toast reads as HTML."""
    try:
        yield
    except Refused as refusal:
        raise gr.Error(
            escape(" ".join(map(str, refusal.problems[:5]))), duration=15, title=title, print_exception=False
        ) from refusal


def problems_html(problems: Sequence[Problem]) -> str:
    """A list of problems with their places and remedies."""
    lines = "".join(tag("li", escape(str(problem))) for problem in problems[:SHOWN])
    more = len(problems) - SHOWN
    tail = tag("p", f"… and {more:,} more; the download lists all.", class_="quiet") if more > 0 else ""
    return tag("ul", lines, class_="refusals") + tail
