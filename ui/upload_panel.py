"""The chats a person brings: files and columns, what was read of them, and what was refused and why, with a table of it to keep."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from dialogues.dialogue import Dataset, Problem
from dialogues.profile import profile
from dialogues.split import SplitRefused, split_examples
from dialogues.upload import FILE_TYPES, MAX_BYTES, Reading, UploadRefused, read_upload
from sharing.sheet import tag
from ui.look import proof, sheet_box
from ui.refusals import problems_html
from ui.settings import Settings

SAMPLE, OWN = "The sample support chats", "My own chats"
GUESSED = "found by its name; else write it here and press Enter"


@dataclass(frozen=True, slots=True)
class Chats:
    """What is in hand to tune on: the dataset, and what was refused or left out on the way."""

    dataset: Dataset
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """The widgets that chats come in by, and what is said of them."""

    source: gr.Radio
    own: gr.Group
    file: gr.File
    test_file: gr.File
    columns: tuple[gr.Textbox, gr.Textbox]  # with the chat, with the summary
    read: gr.HTML
    refused: gr.DownloadButton

    @property
    def given(self) -> list[gr.Radio | gr.File | gr.Textbox]:
        """What `taken` reads, in its order."""
        return [self.source, self.file, self.test_file, *self.columns]

    @property
    def told(self) -> list[gr.HTML | gr.DownloadButton | gr.Group]:
        """What `taken` answers with, after the chats."""
        return [self.read, self.refused, self.own]


def lay_files() -> Files:
    source = gr.Radio([SAMPLE, OWN], value=SAMPLE, label="Tune on")
    with gr.Group(visible=False) as own:
        limit = f"{', '.join(FILE_TYPES)}, at most {MAX_BYTES // 10**6} MB"
        file = _file(f"Chats with summaries ({limit})", "upload", 130)
        with gr.Accordion("Test file and columns", open=False):
            test_file = _file("Chats to test on (else some are set aside)", "test-upload", 110)
            columns = (
                gr.Textbox(label="Column with the chat", placeholder=GUESSED),
                gr.Textbox(label="Column with the summary", placeholder=GUESSED),
            )
    read = sheet_box(elem_id="read")
    refused = gr.DownloadButton("Download what was refused (CSV)", visible=False, size="sm")
    return Files(source, own, file, test_file, columns, read, refused)


def _file(label: str, elem_id: str, height: int) -> gr.File:
    return gr.File(label=label, file_types=list(FILE_TYPES), elem_id=elem_id, height=height)


def taken(
    settings: Settings, kind: str, path: str | None, test: str | None, *columns: str | None
) -> tuple[object, ...]:
    """The chats in hand, what is said of them, the download of what was refused, and whether files are asked for."""
    shown = gr.Group(visible=kind == OWN)
    if kind == OWN and not path:
        return None, proof(""), gr.DownloadButton(visible=False), shown
    try:
        found = Chats(settings.sample_set()) if kind == SAMPLE else _read_files(path or "", test, columns)
    except UploadRefused as refusal:
        html = tag("p", "Nothing could be used of this file.", class_="notice") + problems_html(refusal.problems)
        return None, proof(html), refused_file(refusal.problems), shown
    return found, proof(_chats_html(found)), refused_file(found.problems), shown


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


def refused_file(problems: Sequence[Problem]) -> gr.DownloadButton:
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
