"""The Tune tab: chats in, a plan with its consequences, a run that goes on when the page is closed."""

from __future__ import annotations

import csv
import io
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from dialogues.dialogue import Dataset, Problem, Refused
from dialogues.profile import profile
from dialogues.split import SplitRefused, split_examples
from dialogues.upload import FILE_TYPES, MAX_BYTES, Reading, UploadRefused, read_upload
from prompting.catalog import DEFAULT, TEMPLATES
from prompting.model import BUNDLED
from sharing.sheet import tag
from tuning import jobs, line
from tuning.forecast import forecast
from tuning.plan import FULL, LORA, SIZES, Plan, PlanRefused, propose
from tuning.runs import create, list_runs
from ui.look import QUIET, proof, sheet_box
from ui.prompt_tab import BASE_CHOICES
from ui.refusals import as_messages, problems_html
from ui.settings import Settings

SAMPLE, OWN = "The sample support chats", "My own chats"
GUESSED = "found by its name; else write it here and press Enter"
PRIVACY = (
    "Your chats are kept on this server with the run they tune, readable only with the run's secret address, "
    "until you press Delete. They are never used for anything else."
)


PRECISIONS = [("chosen for you", ""), ("bf16", "bf16"), ("fp32", "fp32"), ("fp16", "fp16")]
OWN_FIELDS = {"steps": "Steps", "batch_size": "Pairs a step", "learning_rate": "Learning rate"}
LONGEST_NAME = 80  # characters of a run's name


@dataclass(frozen=True, slots=True)
class Chats:
    """What is in hand to tune on: the dataset, and what was refused or left out on the way."""

    dataset: Dataset
    problems: tuple[Problem, ...] = ()


def build(settings: Settings, owner: gr.BrowserState, demo: gr.Blocks) -> gr.Textbox:
    """Lay the left column out and wire it; returns what changes to the new run's id when a run begins."""
    chats: gr.State = gr.State(None)
    started = gr.Textbox(visible=False)
    gr.Markdown("### 1 · Chats")
    source = gr.Radio([SAMPLE, OWN], value=SAMPLE, label="Tune on")
    with gr.Group(visible=False) as own:
        limit = f"{', '.join(FILE_TYPES)}, at most {MAX_BYTES // 10**6} MB"
        file = gr.File(
            label=f"Chats with summaries ({limit})", file_types=list(FILE_TYPES), elem_id="upload", height=130
        )
        with gr.Accordion("Test file and columns", open=False):
            test_file = gr.File(
                label="Chats to test on (else some are set aside)",
                file_types=list(FILE_TYPES),
                elem_id="test-upload",
                height=110,
            )
            dialogue_column = gr.Textbox(label="Column with the chat", placeholder=GUESSED)
            summary_column = gr.Textbox(label="Column with the summary", placeholder=GUESSED)
    read = sheet_box(elem_id="read")
    refused = gr.DownloadButton("Download what was refused (CSV)", visible=False, size="sm")
    gr.Markdown("### 2 · Plan")
    models = gr.Dropdown(BASE_CHOICES, value=BUNDLED, label="Base model", allow_custom_value=True)
    with gr.Row():
        method = gr.Radio([("All weights", FULL), ("LoRA", LORA)], value=FULL, label="What to train")
        size = gr.Radio(list(SIZES), value="quick", label="Size")
    template = gr.Dropdown(list(TEMPLATES), value=DEFAULT.name, label="Template")
    with gr.Accordion("Advanced", open=False), gr.Row():
        boxes = {
            field: gr.Textbox(label=label, placeholder="chosen for you", min_width=140)
            for field, label in OWN_FIELDS.items()
        }
        precision = gr.Dropdown(PRECISIONS, value="", label="Precision", min_width=140)
    consequences = sheet_box(elem_id="plan")
    name = gr.Textbox(label="Name of the run", placeholder="such as Billing team, October", max_length=LONGEST_NAME)
    start = gr.Button("Start", variant="primary", elem_id="start")
    sheet_box(tag("p", escape(PRIVACY), class_="quiet"))

    plan_inputs = [chats, models, method, size, template, precision, *boxes.values()]
    uploads = [source, file, test_file, dialogue_column, summary_column]
    taken = [chats, read, refused, own]

    def take(kind: str, path: str | None, test: str | None, *columns: str | None) -> tuple[object, ...]:
        if kind == OWN and not path:
            return None, proof(""), gr.DownloadButton(visible=False), gr.Group(visible=True)
        try:
            found = Chats(settings.sample_set()) if kind == SAMPLE else _read_files(path or "", test, columns)
        except UploadRefused as refusal:
            html = tag("p", "Nothing could be used of this file.", class_="notice") + problems_html(refusal.problems)
            return None, proof(html), _refused_file(refusal.problems), gr.Group(visible=True)
        shown = gr.Group(visible=kind == OWN)
        return found, proof(_chats_html(found)), _refused_file(found.problems), shown

    def foresee(found: Chats | None, *chosen: Any) -> str:
        return proof(_plan_html(settings, found, *chosen))

    def begin(found: Chats | None, *given: Any) -> tuple[str, str]:
        *chosen, title, key = given
        with as_messages("Not started"):
            plan = _plan(settings, found, *chosen)
            dataset = found.dataset if found else settings.sample_set()
            run = create(settings.runs, plan, dataset, (title or "").strip()[:LONGEST_NAME] or dataset.name, key)
            jobs.enqueue(run, forecast(plan, dataset, base_models=settings.base_model).seconds, settings.trackers)
        return run.id, ""

    changed = [demo.load, source.change, file.change, test_file.change, dialogue_column.submit, summary_column.submit]
    # One listener for all, so that what is still being read cannot overwrite a later choice.
    gr.on(changed, take, uploads, taken, trigger_mode="always_last", api_visibility="private").then(
        foresee, plan_inputs, consequences, **QUIET
    )
    for widget in (models, method, size, template, precision):
        widget.change(foresee, plan_inputs, consequences, **QUIET)
    gr.on(
        [box.blur for box in boxes.values()] + [box.submit for box in boxes.values()],
        foresee,
        plan_inputs,
        consequences,
        **QUIET,
    )
    start.click(begin, [*plan_inputs, name, owner], [started, name], api_visibility="private", concurrency_limit=1)
    return started


def _read_files(path: str, test: str | None, columns: Sequence[str | None]) -> Chats:
    """Both files read and split; problems of both, and of the splitting, together."""
    named = [(column or "").strip() for column in columns]  # a box that was never opened holds None
    chosen = {role: column for role, column in zip(("dialogue", "summary"), named, strict=True) if column}
    reading = read_upload(Path(path), Path(path).name, chosen)
    test_reading = read_upload(Path(test), Path(test).name, chosen) if test else None
    examples = [example for _, example in test_reading.examples] if test_reading else []
    try:
        dataset, left_out = split_examples(_title(reading), reading.examples, examples)
    except SplitRefused as refusal:
        raise UploadRefused(*refusal.problems, *reading.problems) from refusal
    more = test_reading.problems if test_reading else ()
    return Chats(dataset, (*reading.problems, *more, *left_out))


def _title(reading: Reading) -> str:
    return Path(reading.name).stem[:60]


def _chats_html(chats: Chats) -> str:
    """What was read: sizes, lengths, what stands out, and every problem."""
    about, dataset = profile(chats.dataset), chats.dataset
    counts = " · ".join(f"{count:,} {split}" for split, count in about.chats.items())
    facts = {
        "Set": f"{dataset.name} ({dataset.digest})",
        "Chats": counts,
        "Typical chat": f"{about.turns:.0f} turns, {about.words:.0f} words",
        "Summaries": f"{about.references:.1f} a chat, {about.summary_words:.0f} words each",
        "Duplicates": f"{about.duplicates:,} within a split, {about.leaked:,} test chats also in training",
    }
    if about.unsigned:
        facts["Speakers"] = f"{about.unsigned:,} chats name no speakers: each line is kept as “Message”"
    listed = "".join(tag("dt", escape(key)) + tag("dd", escape(value)) for key, value in facts.items())
    html = tag("dl", listed, class_="facts")
    if chats.problems:
        html += tag("p", f"{len(chats.problems):,} rows were refused or left out:", class_="state") + problems_html(
            chats.problems
        )
    return html


def _refused_file(problems: Sequence[Problem]) -> gr.DownloadButton:
    """All problems as a CSV to download; hidden where there are none."""
    if not problems:
        return gr.DownloadButton(visible=False)
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(("row", "column", "reason", "remedy"))
    writer.writerows((problem.row or "", problem.field, problem.reason, problem.remedy) for problem in problems)
    # Among gradio's own files, so that it goes when uploads go.
    path = save_bytes_to_cache(table.getvalue().encode("utf-8-sig"), "refused.csv", get_upload_folder())
    return gr.DownloadButton(value=path, visible=True)


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


def _plan_html(settings: Settings, chats: Chats | None, *chosen: Any) -> str:
    """The plan's consequences in sentences, or every reason why it cannot be."""
    if chats is None:
        return tag("p", "Upload a file to see what a run would take.", class_="quiet")
    try:
        plan = _plan(settings, chats, *chosen)
    except Refused as refusal:
        return problems_html(refusal.problems)
    sentences = forecast(plan, chats.dataset, base_models=settings.base_model).consequences
    ahead = len(line.order(settings.runs)) + (line.training(settings.runs) is not None)
    if ahead:
        sentences = (f"{ahead} other {'run is' if ahead == 1 else 'runs are'} ahead of it on this machine.", *sentences)
    return tag("ul", "".join(tag("li", escape(sentence)) for sentence in sentences), class_="plain")


def own_runs(settings: Settings, owner: str) -> list[tuple[str, str]]:
    """The owner's runs for a picker, the newest first: (name · day and time of the server's clock, id)."""
    records = [(run.record, run.id) for run in list_runs(settings.runs, owner)]
    return [(f"{record.name} · {_day(record.created)}", run_id) for record, run_id in records]


def _day(seconds: float) -> str:
    return time.strftime("%d %b, %H:%M", time.localtime(seconds)).lstrip("0")
