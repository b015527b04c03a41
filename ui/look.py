"""The proof sheet's look: theme, style sheet and script that every screen shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

TEAL = colors.Color(
    *("#ecf8f6", "#d2efea", "#a8dfd6", "#73c8bb", "#3fab9d", "#1c8c80", "#0f7268", "#0d5b54", "#0b4742", "#093934"),
    c950="#052320",
    name="proof-teal",
)
INK = colors.Color(
    *("#f4f6f6", "#e9edee", "#d9e0e1", "#bcc7c9", "#8fa0a3", "#5f7478", "#44595d", "#31464a", "#203438", "#12262a"),
    c950="#0a1a1d",
    name="proof-ink",
)


def theme() -> gr.themes.Base:
    """Paper white, one ink, one teal. Only the weights that are bundled whole: the others lack Latin letters."""
    return gr.themes.Base(
        primary_hue=TEAL,
        secondary_hue=TEAL,
        neutral_hue=INK,
        radius_size=sizes.radius_sm,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
        font=[fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=[fonts.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"],
    ).set(
        body_background_fill="#fbfcfb",
        body_background_fill_dark="#0e191b",
        body_text_color="#12262a",
        body_text_color_dark="#e6eeee",
        body_text_color_subdued="#566b6f",
        body_text_color_subdued_dark="#91a5a9",
        block_background_fill="#ffffff",
        block_background_fill_dark="#142326",
        block_border_color="#d9e0e1",
        block_border_color_dark="#25383c",
        block_border_width="1px",
        block_shadow="none",
        block_label_text_color="#566b6f",
        block_label_text_color_dark="#91a5a9",
        block_title_text_color="#566b6f",
        block_title_text_color_dark="#91a5a9",
        input_background_fill="#ffffff",
        input_background_fill_dark="#0e191b",
        input_border_color="#d9e0e1",
        input_border_color_dark="#25383c",
        input_border_width="1px",
        input_shadow="none",
        button_primary_background_fill="#0f7268",
        button_primary_background_fill_hover="#0d5b54",
        button_primary_background_fill_dark="#5cc4b5",
        button_primary_background_fill_hover_dark="#73c8bb",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#0e191b",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#142326",
        button_secondary_border_color="#bcc7c9",
        button_secondary_border_color_dark="#31464a",
        button_large_radius="4px",
        button_small_radius="4px",
        link_text_color="#0f7268",
        link_text_color_dark="#5cc4b5",
    )


# What gradio's own boxes need to stand back behind the sheet.
HOST = """
.gradio-container { font-variant-numeric: tabular-nums; max-width: 1400px !important; }
.gradio-container .html-container { padding: 0 !important; }
.gradio-container .html-container .proof { font-size: 16px; }
.gradio-container .bare { border: 0 !important; background: none !important; box-shadow: none !important; padding: 0 !important; }
.dark .tab-container button.selected, .dark button[role=tab].selected { color: var(--ok); }
.gradio-container .prose .turns, .gradio-container .prose .badges { padding: 0; }
.gradio-container .beside { align-self: center; max-height: 48px; }
.gradio-container :focus-visible { outline-color: var(--ok); }
"""


# How events that only redraw the screen behave: no spinner, and no endpoint that a stranger could call by name.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# The same for what a person may choose faster than it is drawn: the last choice is the one that is shown.
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
# The same for events that carry data of their own: "always_last" would come again with the first event's data.
EACH: dict[str, Any] = {**QUIET, "trigger_mode": "multiple", "queue": False}


def head(assets: Path) -> str:
    """The page's head: our style sheet inline, because gradio rewrites `css=`, and our script from our own address."""
    style = (assets / "proofsheet.css").read_text(encoding="utf-8")
    return (
        f"<style>{style}{HOST}</style>"
        '<script src="proof/plotly.min.js" defer></script><script src="proof/page.js" defer></script>'
    )


def proof(body: str) -> str:
    """HTML that wears the proof sheet's style."""
    return f'<div class="proof">{body}</div>'


def sheet_box(body: str = "", **settings: Any) -> gr.HTML:
    """A bare HTML box for the sheet's own markup."""
    return gr.HTML(proof(body) if body else "", apply_default_css=False, elem_classes="bare", **settings)
