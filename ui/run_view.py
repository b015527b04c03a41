"""A run by its address: state, progress, loss, checkpoints, log; true after a reload, in a second tab, after a restart."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from dialogues.dialogue import Problem, Refused
from sharing.parcel import pack
from sharing.sheet import tag
from tuning import jobs, line
from tuning.runs import FINISHED, MEASURE, SAMPLED, TRAIN, Run, RunRefused, open_run, owner_digest
from ui import compared
from ui.look import QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.run_sheet import figures_html, log_html, loss_html, points_html, silent_minutes, state_html
from ui.settings import Settings
from ui.tune_tab import own_runs

NOT_YOURS = Problem("Only whoever started a run can do this.", "Open it in the browser it was started in.", field="run")
NONE_YET = "No run yet. Choose chats and a size on the left and press Start; you may close the page afterwards."
SOON: dict[str, Any] = {**QUIET, "queue": False}  # a look must not wait behind what takes long
PARCEL = (
    "One .zip with weights, tokenizer and a model card: plan, digest of the data, scores. Your chats are not in it."
)


@dataclass(frozen=True, slots=True)
class View:
    """The widgets of a run: boxes with HTML, buttons, and the corner where a checkpoint is taken along."""

    picker: gr.Dropdown
    boxes: tuple[gr.HTML, ...]  # state, figures, loss, points, log
    buttons: tuple[gr.Button, ...]  # cancel, resume, measure, delete
    sure: gr.Button
    taken: gr.Dropdown
    packing: gr.Button
    parcel: gr.DownloadButton


def build(settings: Settings, owner: gr.BrowserState, started: gr.Textbox) -> gr.Dropdown:
    """Lay the right column out and wire it; returns the run picker."""
    view = _lay()

    def choose(run_id: str, key: str) -> gr.Dropdown:
        return gr.Dropdown(own_runs(settings, key), value=run_id or None)

    started.change(choose, [started, owner], view.picker, **SOON)
    _wire_actions(settings, view, owner, _wire_look(settings, view))
    _wire_parcel(settings, view, owner)
    return view.picker


def _lay() -> View:
    picker = gr.Dropdown([], label="My runs", elem_id="run-picker")
    state = sheet_box(tag("p", NONE_YET, class_="notice"), elem_id="run-state")
    figures, loss, points = (sheet_box(elem_id=f"run-{name}") for name in ("figures", "loss", "points"))
    with gr.Row():
        stop = gr.Button("Cancel", interactive=False, elem_id="cancel")
        resume = gr.Button("Resume", visible=False, elem_id="resume")
        again = gr.Button("Measure now", interactive=False)
        remove = gr.Button("Delete run and chats", interactive=False, elem_id="delete")
        sure = gr.Button("Delete for good", visible=False, variant="stop", elem_id="delete-for-good")
    corner = _lay_parcel()
    with gr.Accordion("Log", open=False):
        log = sheet_box()
    return View(picker, (state, figures, loss, points, log), (stop, resume, again, remove), sure, *corner)


def _lay_parcel() -> tuple[gr.Dropdown, gr.Button, gr.DownloadButton]:
    with gr.Accordion("Take a checkpoint along", open=False):
        sheet_box(tag("p", escape(PARCEL), class_="quiet"))
        with gr.Row():
            taken = gr.Dropdown([], show_label=False, container=False, elem_id="taken")
            packing = gr.Button("Pack it", elem_id="pack")
        parcel = gr.DownloadButton("Download", visible=False, variant="primary", elem_id="parcel")
    return taken, packing, parcel


def _wire_look(settings: Settings, view: View) -> Callable[[Any], None]:
    """Show the chosen run and what becomes of it; returns what makes an event end in a fresh look."""
    last, timer = gr.State(None), gr.Timer(1.0)
    shown = [last, *view.boxes, *view.buttons, view.taken, timer]

    def look(run_id: str | None, seen: object) -> tuple[object, ...] | object:
        if not run_id:
            return _nothing(NONE_YET)
        try:
            return _look(open_run(settings.runs, run_id), seen)
        except Refused as refusal:
            return _nothing(str(refusal))

    def first_look(run_id: str | None) -> tuple[object, ...] | object:
        return look(run_id, None)

    timer.tick(look, [view.picker, last], shown, **SOON)
    view.picker.change(first_look, view.picker, shown, **SOON).then(None, view.picker, None, js=REMEMBER, **SOON)

    def looked_at(event: Any) -> None:
        for ended in (event.success, event.failure):  # `then` alone does not come after a refusal
            ended(first_look, view.picker, shown, **SOON)

    return looked_at


def _wire_actions(settings: Settings, view: View, owner: gr.BrowserState, looked_at: Callable[[Any], None]) -> None:
    def act(action: str, run_id: str | None, key: str) -> object:
        with as_messages("Not done"):
            run = _own_run(settings, run_id, key)
            if action == "resume" and (full := settings.quota.line_problems(settings.runs, key)):
                raise RunRefused(*full)
            ACTIONS[action](run)
        if action != "delete":
            return gr.skip()
        compared.forget()
        gr.Success("The run, its checkpoints and its chats are deleted.", title="Deleted")
        rest = own_runs(settings, key)
        return gr.Dropdown(rest, value=rest[0][1] if rest else None)

    stop, resume, again, remove = view.buttons
    remove.click(lambda: gr.Button(visible=True), None, view.sure, **SOON)
    view.picker.change(lambda: gr.Button(visible=False), None, view.sure, **SOON)
    for button, action in ((stop, "cancel"), (resume, "resume"), (again, "measure"), (view.sure, "delete")):
        asked = [view.picker, owner]
        looked_at(button.click(partial(act, action), asked, view.picker, **QUIET))


def _wire_parcel(settings: Settings, view: View, owner: gr.BrowserState) -> None:
    def take(run_id: str | None, step: int | None, key: str) -> gr.DownloadButton:
        with as_messages("Not packed"):
            run = _own_run(settings, run_id, key)
            folder = Path(tempfile.mkdtemp(dir=_uploads()))  # among gradio's own files, so that it goes when uploads go
            return gr.DownloadButton(value=pack(run, step or 0, folder / f"checkpoint-{step}.zip"), visible=True)

    changed = [view.picker.change, view.taken.change]
    gr.on(changed, lambda: gr.DownloadButton(visible=False), None, view.parcel, **SOON)
    view.packing.click(take, [view.picker, view.taken, owner], view.parcel, api_visibility="private")


def _own_run(settings: Settings, run_id: str | None, key: str) -> Run:
    run = open_run(settings.runs, run_id or "")
    if run.record.owner_digest != owner_digest(key):
        raise RunRefused(NOT_YOURS)
    return run


ACTIONS = {
    "cancel": jobs.cancel, "resume": jobs.resume, "measure": jobs.measure, "delete": jobs.discard,
}  # fmt: skip
# The address always names the run on the screen, so that a reload or a second tab opens the same one.
REMEMBER = """(run) => { const url = new URL(location.href); run ? url.searchParams.set('run', run) : url.searchParams.delete('run');
history.replaceState(null, '', url); }"""


def _uploads() -> Path:
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _nothing(words: str) -> tuple[object, ...]:
    """An empty screen with one sentence on it."""
    asleep = gr.Button(interactive=False)
    boxes = (proof(tag("p", escape(words), class_="notice")), "", "", "", "")
    buttons = (asleep, gr.Button(visible=False), asleep, asleep)
    return (None, *boxes, *buttons, gr.Dropdown(choices=[], value=None), gr.Timer(active=False))


def _look(run: Run, seen: object) -> tuple[object, ...] | object:
    """Everything on the screen, or nothing where nothing has changed since `seen`."""
    progress, measuring, measured = run.progress(), run.measuring(), run.written()
    place, sampled = line.place(run), run.written(SAMPLED)
    ending = progress.over and run.alive(TRAIN)  # Resume waits for it
    busy = ending or run.alive(MEASURE) or run.is_put_off(MEASURE)
    steps = [checkpoint.step for checkpoint in run.checkpoints()]
    told = (progress.state, progress.step, progress.updated, silent_minutes(progress), len(progress.loss_curve), place)
    now = (run.id, progress.message, *told, ending, busy, measuring, sampled, measured, steps)
    if now == seen:
        return gr.skip()
    over = progress.over and not busy
    return (
        now,
        proof(state_html(run, progress, place, measuring)),
        proof(figures_html(progress)),
        proof(loss_html(progress)),
        proof(points_html(run, steps, sampled, len(measured))),
        proof(log_html(run)),
        gr.Button(visible=not progress.over, interactive=not progress.over),
        gr.Button(visible=progress.over and progress.state != FINISHED, interactive=not jobs.no_resume(run)),
        gr.Button(interactive=over),  # a report may be of an older version
        gr.Button(interactive=progress.over),
        _takeable(steps[1:], fresh=not isinstance(seen, list | tuple) or seen[-1] != steps),
        gr.Timer(active=not over),
    )


def _takeable(steps: list[int], fresh: bool) -> object:
    """The checkpoints to take along, the last one chosen; what a person chose stays until there is a new one."""
    if not fresh:
        return gr.skip()
    return gr.Dropdown([(f"checkpoint {step}", step) for step in steps], value=steps[-1] if steps else None)
