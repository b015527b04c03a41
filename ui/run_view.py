"""A run by its address: state, progress, loss, checkpoints, log; true after a reload, in a second tab, after a restart."""

from __future__ import annotations

import tempfile
from functools import partial
from html import escape
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from dialogues.dialogue import Problem, Refused
from sharing.parcel import pack
from sharing.sheet import tag
from tuning import jobs, line
from tuning.runs import FINISHED, MEASURE, SAMPLED, Run, RunRefused, open_run, owner_digest
from ui.look import QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.run_sheet import figures_html, log_html, loss_html, points_html, silent_minutes, state_html
from ui.settings import Settings
from ui.tune_tab import own_runs

NOT_YOURS = Problem("Only whoever started a run can do this.", "Open it in the browser it was started in.", field="run")
NONE_YET = "No run yet. Choose chats and a size on the left and press Start; you may close the page afterwards."

PARCEL = (
    "One .zip with weights, tokenizer and a model card: plan, digest of the data, scores. Your chats are not in it."
)


def build(settings: Settings, owner: gr.BrowserState, started: gr.Textbox) -> gr.Dropdown:
    """Lay the right column out and wire it; returns the run picker."""
    picker = gr.Dropdown([], label="My runs", elem_id="run-picker")
    state = sheet_box(tag("p", NONE_YET, class_="notice"), elem_id="run-state")
    figures = sheet_box(elem_id="run-figures")
    loss = sheet_box(elem_id="run-loss")
    points = sheet_box(elem_id="run-points")
    with gr.Row():
        stop = gr.Button("Cancel", interactive=False, elem_id="cancel")
        resume = gr.Button("Resume", visible=False, elem_id="resume")
        again = gr.Button("Measure what is missing", interactive=False)
        remove = gr.Button("Delete run and chats", interactive=False, elem_id="delete")
        sure = gr.Button("Delete for good", visible=False, variant="stop", elem_id="delete-for-good")
    with gr.Accordion("Take a checkpoint along", open=False):
        sheet_box(tag("p", escape(PARCEL), class_="quiet"))
        with gr.Row():
            taken = gr.Dropdown([], show_label=False, container=False, elem_id="taken")
            packing = gr.Button("Pack it", elem_id="pack")
        parcel = gr.DownloadButton("Download", visible=False, variant="primary", elem_id="parcel")
    with gr.Accordion("Log", open=False):
        log = sheet_box()
    last = gr.State(None)
    timer = gr.Timer(1.0)
    shown = [last, state, figures, loss, points, log, stop, resume, again, remove, taken, timer]

    def look(run_id: str | None, seen: object) -> tuple[object, ...] | object:
        if not run_id:
            return _nothing(NONE_YET)
        try:
            return _look(open_run(settings.runs, run_id), seen)
        except Refused as refusal:
            return _nothing(str(refusal))

    def first_look(run_id: str | None) -> tuple[object, ...] | object:
        return look(run_id, None)

    def choose(run_id: str, key: str) -> gr.Dropdown:
        return gr.Dropdown(own_runs(settings, key), value=run_id or None)

    def own_run(run_id: str | None, key: str) -> Run:
        run = open_run(settings.runs, run_id or "")
        if run.record.owner_digest != owner_digest(key):
            raise RunRefused(NOT_YOURS)
        return run

    def act(action: str, run_id: str | None, key: str) -> object:
        with as_messages("Not done"):
            ACTIONS[action](own_run(run_id, key))
        if action != "delete":
            return gr.skip()
        gr.Success("The run, its checkpoints and its chats are deleted.", title="Deleted")
        rest = own_runs(settings, key)
        return gr.Dropdown(rest, value=rest[0][1] if rest else None)

    def take(run_id: str | None, step: int | None, key: str) -> gr.DownloadButton:
        with as_messages("Not packed"):
            run = own_run(run_id, key)
            folder = Path(tempfile.mkdtemp(dir=_uploads()))  # among gradio's own files, so that it goes when uploads go
            return gr.DownloadButton(value=pack(run, step or 0, folder / f"checkpoint-{step}.zip"), visible=True)

    quiet = {**QUIET, "queue": False}
    timer.tick(look, [picker, last], shown, **quiet)
    picker.change(first_look, picker, shown, **quiet).then(None, picker, None, js=REMEMBER, **quiet)
    started.change(choose, [started, owner], picker, **quiet)
    remove.click(lambda: gr.Button(visible=True), None, sure, **quiet)
    picker.change(lambda: gr.Button(visible=False), None, sure, **quiet)
    gr.on([picker.change, taken.change], lambda: gr.DownloadButton(visible=False), None, parcel, **quiet)
    packing.click(take, [picker, taken, owner], parcel, api_visibility="private")
    for button, action in ((stop, "cancel"), (resume, "resume"), (again, "measure"), (sure, "delete")):
        button.click(partial(act, action), [picker, owner], picker, api_visibility="private").then(
            first_look, picker, shown, **quiet
        )
    return picker


ACTIONS = {
    "cancel": jobs.cancel, "resume": jobs.resume, "measure": jobs.start_measuring, "delete": jobs.discard,
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
    progress, measuring, measured = run.progress(), run.measuring(), run.measured()
    place, busy, sampled = line.place(run), run.alive(MEASURE), run.measured(SAMPLED)
    steps = [checkpoint.step for checkpoint in run.checkpoints()]
    told = (progress.state, progress.step, progress.updated, silent_minutes(progress), len(progress.loss_curve), place)
    now = (run.id, *told, busy, measuring, sampled, measured, steps)
    if now == seen:
        return gr.skip()
    over = progress.over and not busy
    return (
        now,
        proof(state_html(run, progress, place, measuring)),
        proof(figures_html(progress)),
        proof(loss_html(progress)),
        proof(points_html(run, steps, sampled, measured)),
        proof(log_html(run)),
        gr.Button(visible=not progress.over, interactive=not progress.over),
        gr.Button(visible=progress.over and progress.state != FINISHED, interactive=not jobs.no_resume(run)),
        gr.Button(interactive=over and min(len(sampled), len(measured)) < len(steps)),
        gr.Button(interactive=progress.over),
        _takeable(steps[1:], fresh=not isinstance(seen, list | tuple) or seen[-1] != steps),
        gr.Timer(active=not over),
    )


def _takeable(steps: list[int], fresh: bool) -> object:
    """The checkpoints to take along, the last one chosen; what a person chose stays until there is a new one."""
    if not fresh:
        return gr.skip()
    return gr.Dropdown([(f"checkpoint {step}", step) for step in steps], value=steps[-1] if steps else None)
