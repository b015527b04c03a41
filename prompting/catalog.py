"""Our templates, as data: the several ways to ask for a summary."""

from __future__ import annotations

from prompting.template import Template

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template("summarize", "Summarize the following conversation.\n\n{dialogue}\n\nSummary:"),
        Template("short", "{dialogue}\n\nBriefly, what was this support chat about and how did it end?"),
        Template("handover", "Write a note for the next agent who opens this chat.\n\n{dialogue}\n\nNote:"),
        Template(
            "needs",
            "Read the chat. What did the customer need, what did the agent do, and what happens next?\n\n{dialogue}",
        ),
        Template("plain", "summarize: {dialogue}"),
    )
}
DEFAULT = TEMPLATES["summarize"]
