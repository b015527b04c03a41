"""Sets the tabs side by side and opens on what the address asks for."""

from __future__ import annotations

import secrets
import threading
import time
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import gradio as gr

from dialogues.upload import MAX_BYTES
from prompting.model import BUNDLED, ModelRefused, load
from sharing.sheet import tag
from tuning.runs import RunRefused, open_run
from ui import api, compare_tab, compared, prompt_tab, run_view, scaling_panel, tune_tab
from ui.look import QUIET, head, sheet_box, theme
from ui.routes import middleware, routes
from ui.settings import Settings

TABS = ("prompt", "tune", "compare")
PROMISE = "Prompt FLAN-T5, tune it on your own chats, prove whether it got better."
# Not a secret: what it keeps in the visitor's own browser is that visitor's own key.
STORAGE: dict[str, Any] = {"secret": "tuneproof"}
UPLOADS = (600, 3600)  # seconds: how often uploads are looked through, and how old one may grow


def build(settings: Settings) -> gr.Blocks:
    """The whole app, ready for `demo.launch(**launch_settings(settings))`."""
    with gr.Blocks(title="TuneProof", analytics_enabled=False, delete_cache=UPLOADS) as demo:
        owner = gr.BrowserState("", storage_key="tuneproof", **STORAGE)
        links = gr.BrowserState([], storage_key="tuneproof-links", **STORAGE)
        sheet_box(tag("p", f"<strong>TuneProof</strong><span>{PROMISE}</span>", class_="mast"))
        with gr.Tabs() as tabs:
            with gr.Tab("Prompt", id="prompt"):
                prompt_models = prompt_tab.build(settings)
                scaling_panel.build(settings)
            with gr.Tab("Tune", id="tune") as tune, gr.Row():
                with gr.Column(scale=2, min_width=320):
                    started = tune_tab.build(settings, owner, demo, tune)
                with gr.Column(scale=3, min_width=320):
                    runs = run_view.build(settings, owner, started)
            with gr.Tab("Compare", id="compare") as compare:
                compare_tab.build(settings, owner, links, compare, runs)

        def welcome(key: str, request: gr.Request) -> tuple[Any, ...]:
            warm(settings)
            asked = dict(request.query_params)
            key = key or secrets.token_hex(16)
            compared.warm(settings, key)
            models = gr.Dropdown(prompt_tab.model_choices(settings, key))
            return key, _tab(asked), models, _run_picker(settings, asked, key)

        api.build(settings)
        demo.load(welcome, owner, [owner, tabs, prompt_models, runs], **QUIET)
    demo.queue(default_concurrency_limit=4, max_size=64)
    return demo


def launch_settings(settings: Settings) -> dict[str, Any]:
    """Everything that `launch` needs besides host and port: our routes and head, private folders, no telemetry.

    Where the `mcp` extra is installed (requirements-mcp.txt) the endpoints are offered as MCP tools as well.
    """
    return {
        "ssr_mode": False,
        "run_history": False,
        "footer_links": [],
        "show_error": False,
        "max_file_size": MAX_BYTES,
        "theme": theme(),
        "head": head(settings.assets),
        "blocked_paths": [str(settings.home)],
        "mcp_server": find_spec("mcp") is not None,
        "app_kwargs": {
            "routes": routes(settings), "middleware": middleware(), "docs_url": None, "openapi_url": None,
        },
    }  # fmt: skip


@lru_cache(maxsize=1)
def warm(settings: Settings) -> None:
    """Load the bundled model once somebody has come, behind their first look at the page."""
    threading.Thread(target=_load_later, args=(settings,), daemon=True).start()


def _load_later(settings: Settings) -> None:
    time.sleep(2.0)  # torch's import would hold up the first paint
    try:
        load(BUNDLED, settings.base_model)
    except ModelRefused:
        return  # said where it matters: when somebody asks for the model


def _tab(asked: dict[str, str]) -> gr.Tabs:
    wanted = asked.get("tab") or ("tune" if asked.get("run") else "")
    return gr.Tabs(selected=wanted) if wanted in TABS else gr.Tabs()


def _run_picker(settings: Settings, asked: dict[str, str], owner: str) -> gr.Dropdown:
    """The owner's runs; the one in the address is chosen, also where it is somebody else's."""
    choices = tune_tab.own_runs(settings, owner)
    run_id = asked.get("run")
    if run_id and run_id not in [value for _, value in choices]:
        try:
            choices.append((open_run(settings.runs, run_id).record.name, run_id))
        except RunRefused as refusal:
            gr.Warning(str(refusal), title="Run not found")
            run_id = None
    return gr.Dropdown(choices, value=run_id or (choices[0][1] if choices else None))
