"""A run by its address: state, progress, loss, checkpoints, log; true after a reload, in a second tab, after a restart."""

from __future__ import annotations

from functools import partial
from html import escape

import gradio as gr

from dialogues.dialogue import Problem, Refused
from sharing.sheet import chart_html, tag
from tuning import jobs
from tuning.forecast import in_words
from tuning.runs import MEASURE, Progress, Run, RunRefused, open_run, owner_digest
from ui.look import QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.settings import Settings
from ui.tune_tab import own_runs

NOT_YOURS = Problem("Only whoever started a run can do this.", "Open it in the browser it was started in.", field="run")
NONE_YET = "No run yet. Choose chats and a size on the left and press Start; you may close the page afterwards."


def build(settings: Settings, owner: gr.BrowserState, started: gr.Textbox) -> gr.Dropdown:
    """Lay the right column out and wire it; returns the run picker."""
    picker = gr.Dropdown([], label="My runs", elem_id="run-picker")
    state = sheet_box(tag("p", NONE_YET, class_="notice"), elem_id="run-state")
    loss = sheet_box(elem_id="run-loss")
    points = sheet_box(elem_id="run-points")
    with gr.Row():
        stop = gr.Button("Cancel", interactive=False, elem_id="cancel")
        again = gr.Button("Measure what is missing", interactive=False)
        remove = gr.Button("Delete run and chats", interactive=False, elem_id="delete")
        sure = gr.Button("Delete for good", visible=False, variant="stop", elem_id="delete-for-good")
    with gr.Accordion("Log", open=False):
        log = sheet_box()
    last = gr.State(None)
    timer = gr.Timer(1.0)
    shown = [last, state, loss, points, log, stop, again, remove, timer]

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

    def act(action: str, run_id: str | None, key: str) -> object:
        with as_messages("Not done"):
            run = open_run(settings.runs, run_id or "")
            if run.record.owner_digest != owner_digest(key):
                raise RunRefused(NOT_YOURS)
            {"cancel": jobs.cancel, "measure": jobs.start_measuring, "delete": jobs.discard}[action](run)
        if action != "delete":
            return gr.skip()
        gr.Success("The run, its checkpoints and its chats are deleted.", title="Deleted")
        rest = own_runs(settings, key)
        return gr.Dropdown(rest, value=rest[0][1] if rest else None)

    quiet = {**QUIET, "queue": False}
    timer.tick(look, [picker, last], shown, **quiet)
    picker.change(first_look, picker, shown, **quiet).then(None, picker, None, js=REMEMBER, **quiet)
    started.change(choose, [started, owner], picker, **quiet)
    remove.click(lambda: gr.Button(visible=True), None, sure, **quiet)
    picker.change(lambda: gr.Button(visible=False), None, sure, **quiet)
    for button, action in ((stop, "cancel"), (again, "measure"), (sure, "delete")):
        button.click(partial(act, action), [picker, owner], picker, api_visibility="private").then(
            first_look, picker, shown, **quiet
        )
    return picker


# The address always names the run on the screen, so that a reload or a second tab opens the same one.
REMEMBER = """(run) => { const url = new URL(location.href); run ? url.searchParams.set('run', run) : url.searchParams.delete('run');
history.replaceState(null, '', url); }"""


def _nothing(words: str) -> tuple[object, ...]:
    """An empty screen with one sentence on it."""
    asleep = [gr.Button(interactive=False)] * 3
    return (None, proof(tag("p", escape(words), class_="notice")), "", "", "", *asleep, gr.Timer(active=False))


def _look(run: Run, seen: object) -> tuple[object, ...] | object:
    """Everything on the screen, or nothing where nothing has changed since `seen`."""
    progress, measuring, measured = run.progress(), run.measuring(), run.measured()
    busy = run.alive(MEASURE)
    steps = [checkpoint.step for checkpoint in run.checkpoints()]
    now = (
        run.id,
        progress.state,
        progress.step,
        progress.updated,
        len(progress.loss_curve),
        busy,
        measuring,
        measured,
        steps,
    )
    if now == seen:
        return gr.skip()
    over = progress.over and not busy
    return (
        now,
        proof(_state_html(run, progress, measuring)),
        proof(_loss_html(progress)),
        proof(_points_html(run, steps, measured)),
        proof(_log_html(run)),
        gr.Button(interactive=not progress.over),
        gr.Button(interactive=over and len(measured) < len(steps)),
        gr.Button(interactive=progress.over),
        gr.Timer(active=not over),
    )


def _state_html(run: Run, progress: Progress, measuring: tuple[int, int, int] | None) -> str:
    share = progress.step / max(progress.steps, 1)
    details = [f"step {progress.step:,} of {progress.steps:,}"]
    if progress.eta_seconds is not None and not progress.over:
        details.append(f"{in_words(progress.eta_seconds)} left")
    if progress.tokens_per_second and not progress.over:
        details.append(f"{progress.tokens_per_second:,.0f} tokens/s")
    title = (
        tag("b", escape(progress.state.capitalize())) + " " + tag("span", escape(" · ".join(details)), class_="quiet")
    )
    parts = [
        tag(
            "p",
            f"{tag('b', escape(run.record.name))} {tag('span', escape(run.plan.base_model), class_='quiet')}",
            class_="state",
        ),
        tag("p", title, class_="state"),
        tag(
            "div",
            tag("i", "", style=f"width:{share:.1%}"),
            class_="progress",
            role="progressbar",
            aria_label="Training",
            aria_valuenow=f"{share:.0%}".rstrip("%"),
            aria_valuemin=0,
            aria_valuemax=100,
        ),
    ]
    if progress.message:
        parts.append(
            tag(
                "p",
                escape(progress.message),
                class_="notice" if progress.state not in ("running", "finished") else "quiet",
            )
        )
    if measuring:
        step, done, total = measuring
        what = f"checkpoint {step}" if step else "zero-shot"
        parts.append(tag("p", f"Measuring {what}: {done} of {total} test chats.", class_="quiet"))
    if not progress.over:
        parts.append(
            tag("p", "You may close this page: the run goes on, and this address shows it again.", class_="quiet")
        )
    return "".join(parts)


def _log_html(run: Run) -> str:
    logs = {"Training": run.log_tail(30), "Measuring": run.log_tail(10, MEASURE)}
    return "".join(
        tag("h4", name) + tag("div", escape(text or "nothing yet"), class_="log") for name, text in logs.items()
    )


def _loss_html(progress: Progress) -> str:
    if not progress.loss_curve:
        return ""
    from evaluation.charts import loss_figure

    figure = loss_figure(progress.loss_curve, progress.validation_curve, progress.steps)
    return chart_html(figure.to_json(), "Loss by step", "nats per token")


def _points_html(run: Run, steps: list[int], measured: list[int]) -> str:
    """The checkpoints as they become whole, and whether each has been measured."""
    if len(steps) < 2 and not measured:
        return ""
    lines = "".join(
        tag("dt", "zero-shot" if step == 0 else f"checkpoint {step}")
        + tag("dd", "measured" if step in measured else "whole, waits to be measured")
        for step in steps
    )
    return tag("dl", lines, class_="facts")
