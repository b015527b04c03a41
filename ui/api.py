"""The named endpoints that programs call: what the screen does with runs and published pages, without a screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from sharing.desk import Desk
from ui.refusals import as_messages
from ui.settings import Settings


def build(settings: Settings) -> None:
    """Offer what the desk does, each under its own name and in its own words. Examples: docs/api.md."""
    desk = Desk(settings.home, settings.key)
    for asked in (
        desk.list_runs, desk.get_report, desk.publish, desk.numbers_link, desk.revoke, desk.fetch_snapshot
    ):  # fmt: skip
        gr.api(_endpoint(asked), api_name=asked.__name__)


def _endpoint(asked: Callable[..., Any]) -> Callable[..., Any]:
    """The same with its signature and docstring; a refusal comes as an error with its sentence."""

    @wraps(asked)
    def answer(*given: Any, **named: Any) -> Any:
        with as_messages("Refused"):
            return asked(*given, **named)

    return answer
