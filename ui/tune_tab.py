"""The Tune tab: chats in, a plan with its consequences, a run that goes on when the page is closed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from dialogues.dialogue import Problem, Refused
from prompting.catalog import DEFAULT, TEMPLATES
from prompting.model import BUNDLED
from sharing.sheet import tag
from tuning import jobs, line
from tuning.accelerator import no_qlora
from tuning.forecast import forecast, time_step
from tuning.plan import FULL, LORA, QLORA, SIZES, Plan, PlanRefused, disk_bytes, known_parameters, propose
from tuning.runs import Run, create, list_runs
from ui.look import LATEST, QUIET, proof, sheet_box
from ui.prompt_tab import BASE_CHOICES
from ui.refusals import as_messages, problems_html
from ui.settings import Settings
from ui.upload_panel import Chats, Files, lay_files, taken

PRIVACY = (
    "Your chats are kept on this server with the run they tune, readable only with the run's secret address, "
    "until you press Delete. They are never used for anything else."
)


PRECISIONS = [("chosen for you", ""), ("bf16", "bf16"), ("fp32", "fp32"), ("fp16", "fp16")]
METHOD_CHOICES = [("All weights", FULL), ("LoRA", LORA)]
OWN_FIELDS = {"steps": "Steps", "batch_size": "Pairs a step", "learning_rate": "Learning rate"}
AGAIN = 5.0  # seconds within which the same start is a finger that was too quick
LONGEST_NAME = 80  # characters of a run's name


@dataclass(frozen=True, slots=True)
class Choices:
    """The widgets that a plan is chosen with; `all` in the order in which `_plan` takes them."""

    picked: tuple[gr.Dropdown | gr.Radio, ...]  # model, method, size, template, precision
    typed: tuple[gr.Textbox, ...]
    consequences: gr.HTML

    @property
    def all(self) -> list[Any]:
        return [*self.picked, *self.typed]


def build(settings: Settings, owner: gr.BrowserState, demo: gr.Blocks, tab: gr.Tab) -> gr.Textbox:
    """Lay the left column out and wire it; returns what changes to the new run's id when a run begins."""
    chats: gr.State = gr.State(None)
    started = gr.Textbox(visible=False)
    gr.Markdown("### 1 · Chats")
    files = lay_files()
    gr.Markdown("### 2 · Plan")
    choices = _lay_choices()
    name = gr.Textbox(label="Name of the run", placeholder="such as Billing team, October", max_length=LONGEST_NAME)
    start = gr.Button("Start", variant="primary", elem_id="start")
    sheet_box(tag("p", escape(PRIVACY), class_="quiet"))
    given = [chats, owner, *choices.all]
    _wire_plan(settings, files, choices, chats, given, demo, tab)
    _wire_start(settings, start, given, name, started)
    return started


def _lay_choices() -> Choices:
    model = gr.Dropdown(BASE_CHOICES, value=BUNDLED, label="Base model", allow_custom_value=True)
    with gr.Row():
        method = gr.Radio(METHOD_CHOICES, value=FULL, label="What to train")
        size = gr.Radio(list(SIZES), value="quick", label="Size")
    template = gr.Dropdown(list(TEMPLATES), value=DEFAULT.name, label="Template")
    with gr.Accordion("Advanced", open=False), gr.Row():
        typed = tuple(
            gr.Textbox(label=label, placeholder="chosen for you", min_width=140) for label in OWN_FIELDS.values()
        )
        precision = gr.Dropdown(PRECISIONS, value="", label="Precision", min_width=140)
    return Choices((model, method, size, template, precision), typed, sheet_box(elem_id="plan"))


def _wire_plan(
    settings: Settings, files: Files, choices: Choices, chats: gr.State, given: list[Any], demo: gr.Blocks, tab: gr.Tab
) -> None:
    """Chats that come and choices that change are followed by what they lead to, and that by a time taken from real steps."""

    def take(*given: Any) -> tuple[object, ...]:
        return taken(settings, *given)

    def foresee(found: Chats | None, key: str, *chosen: Any) -> str:
        return proof(_plan_html(settings, found, key, *chosen))

    def time_steps(seen: bool, found: Chats | None, key: str, *chosen: Any) -> None:
        if seen:
            _time_steps(settings, found, *chosen)

    def timed(event: Any) -> None:
        """What is shown in the end is foreseen anew, from what is chosen then: it may have changed while steps were timed."""
        event.then(time_steps, [opened, *given], None, concurrency_limit=1, **LATEST).then(
            lambda seen, *given: foresee(*given) if seen else gr.skip(),
            [opened, *given],
            choices.consequences,
            **LATEST,
        )

    opened = gr.State(False)  # whoever only looks at the other tabs has no steps timed
    shown: dict[str, Any] = {"inputs": given, "outputs": choices.consequences, **LATEST}
    read: dict[str, Any] = {"fn": take, "inputs": files.given, "outputs": [chats, *files.told]}
    came = [
        demo.load,
        files.source.change,
        files.file.change,
        files.test_file.change,
        *(box.submit for box in files.columns),
    ]
    demo.load(_methods, None, choices.picked[1], **QUIET)
    # One listener for all, so that what is still being read, at first the sample, cannot overwrite a later choice.
    timed(gr.on(came, **read, trigger_mode="always_last", api_visibility="private").then(foresee, **shown))
    typed = [event for box in choices.typed for event in (box.blur, box.submit)]
    chosen = [*(widget.change for widget in choices.picked), *typed]
    timed(gr.on(chosen, foresee, **shown))
    timed(tab.select(lambda: True, None, opened, **LATEST).then(foresee, **shown))


def _methods() -> gr.Radio:
    """What to train, with what only some machines can."""
    return gr.Radio([*METHOD_CHOICES, *([] if no_qlora() else [("QLoRA", QLORA)])])


def _wire_start(settings: Settings, start: gr.Button, given: list[Any], name: gr.Textbox, started: gr.Textbox) -> None:
    def begin(found: Chats | None, key: str, *rest: Any) -> tuple[str, str]:
        *chosen, title = rest
        with as_messages("Not started"):
            return _begun(settings, found, key, (title or "").strip()[:LONGEST_NAME], *chosen).id, ""

    start.click(begin, [*given, name], [started, name], api_visibility="private", concurrency_limit=1)


def _begun(settings: Settings, found: Chats | None, key: str, title: str, *chosen: Any) -> Run:
    """The run, in line. A second press that only came too soon after the first finds the run of that one."""
    dataset = found.dataset if found else settings.sample_set()
    with suppress(Refused):  # refused below, with every reason
        plan = _plan(settings, found, *chosen)
        for run in list_runs(settings.runs, key)[:1]:
            if time.time() - run.record.created < AGAIN and run.plan == plan and run.dataset.digest == dataset.digest:
                return run
    plan = _allowed(settings, found, key, *chosen)
    jobs.check_trackers(settings.trackers)
    run = create(settings.runs, plan, dataset, title or dataset.name, key)
    jobs.enqueue(run, forecast(plan, dataset, base_models=settings.base_model).seconds, settings.trackers)
    return run


def _plan(
    settings: Settings, chats: Chats | None, model: str, method: str, size: str, template: str, precision: str = "",
    *own: str,
) -> Plan:  # fmt: skip
    if chats is None:
        raise PlanRefused(
            Problem("There are no chats to tune on yet.", "Upload a file or take the sample chats.", field="chats")
        )
    settings.runs.mkdir(parents=True, exist_ok=True)
    return propose(
        chats.dataset, settings.permitted(model), method, size, template, base_models=settings.base_model,
        free_bytes=shutil.disk_usage(settings.runs).free, precision=precision or None, **_own_numbers(own),
    )  # fmt: skip


def _own_numbers(own: Sequence[str]) -> dict[str, float]:
    """What was typed into the advanced boxes, each field that is not empty. Raises PlanRefused with all that is no number."""
    found, problems = {}, []
    for (field, label), text in zip(OWN_FIELDS.items(), own, strict=False):
        try:
            if text and text.strip():
                found[field] = float(text) if field == "learning_rate" else int(text)
        except ValueError:
            problems.append(Problem(f"{label} is {text!r}.", "Write a plain number, or leave it empty.", field=field))
    if problems:
        raise PlanRefused(*problems)
    return found


def _allowed(settings: Settings, chats: Chats | None, key: str, *chosen: Any) -> Plan:
    """The plan, where it can be carried out and its owner's quota has room for it. Raises PlanRefused with every reason."""
    plan, problems, needed = None, list[Problem](), 0
    try:
        plan = _plan(settings, chats, *chosen)
        needed = disk_bytes(plan, known_parameters(plan.base_model, settings.base_model) or 0)
    except Refused as refusal:
        problems += refusal.problems
    problems += settings.quota.problems(settings.runs, key, needed)
    if problems or plan is None:
        raise PlanRefused(*problems)
    return plan


def _time_steps(settings: Settings, chats: Chats | None, *chosen: Any) -> None:
    """Time the steps of this plan where that has not been done; not while a run trains, because both would be held up."""
    if chats is None or line.training(settings.runs):
        return
    with suppress(Refused):  # it has been said already, where the plan is shown
        time_step(_plan(settings, chats, *chosen), chats.dataset, base_models=settings.base_model)


def _plan_html(settings: Settings, chats: Chats | None, key: str, *chosen: Any) -> str:
    """The plan's consequences in sentences, or every reason why it cannot be."""
    if chats is None:
        return tag("p", "Upload a file to see what a run would take.", class_="quiet")
    try:
        plan = _allowed(settings, chats, key, *chosen)
    except Refused as refusal:
        return problems_html(refusal.problems)
    sentences = forecast(plan, chats.dataset, base_models=settings.base_model).consequences
    ahead = len(line.order(settings.runs)) + len(line.training(settings.runs))
    if ahead:
        sentences = (f"{ahead} other {'run is' if ahead == 1 else 'runs are'} ahead of it.", *sentences)
    return tag("ul", "".join(tag("li", escape(sentence)) for sentence in sentences), class_="plain")


def own_runs(settings: Settings, owner: str) -> list[tuple[str, str]]:
    """The owner's runs for a picker, the newest first: (name · day and time of the server's clock, id)."""
    records = [(run.record, run.id) for run in list_runs(settings.runs, owner)]
    return [(f"{record.name} · {_day(record.created)}", run_id) for record, run_id in records]


def _day(seconds: float) -> str:
    return time.strftime("%d %b, %H:%M", time.localtime(seconds)).lstrip("0")
