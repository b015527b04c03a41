"""A pattern that knows its one placeholder and renders the same prompt for prompting and for tuning."""

from __future__ import annotations

from dataclasses import dataclass

from dialogues.dialogue import Dialogue, Problem, Refused

PLACEHOLDER = "{dialogue}"


class TemplateRefused(Refused):
    """The pattern cannot be used as a template."""


@dataclass(frozen=True, slots=True)
class Template:
    """An instruction around a chat: `Template("plain", "Summarize: {dialogue}").render(dialogue)`.

    Raises TemplateRefused unless the pattern holds `{dialogue}` exactly once. Other braces are left alone.
    """

    name: str
    pattern: str

    def __post_init__(self) -> None:
        if self.pattern.count(PLACEHOLDER) != 1:
            raise TemplateRefused(
                Problem(
                    f"The template holds {PLACEHOLDER} {self.pattern.count(PLACEHOLDER)} times.",
                    f"Write {PLACEHOLDER} exactly once, where the chat should stand.",
                    field="template",
                )
            )

    def render(self, dialogue: Dialogue) -> str:
        """The whole prompt: the pattern with the chat's canonical text in its place."""
        return self.pattern.replace(PLACEHOLDER, dialogue.text)
