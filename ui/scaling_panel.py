"""Do more tasks help on tasks never seen? The paper's figures beside those of the model that ships."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import gradio as gr

from sharing.sheet import chart_html, tag
from ui.look import proof, sheet_box
from ui.settings import Settings

PAPER = "Chung et al. 2022, Scaling Instruction-Finetuned Language Models, table 3"
TASKS = ("none", "9", "89", "282", "1,836")
PUBLISHED = {
    "540B": (49.1, 52.6, 57.0, 57.5, 58.5),
    "62B": (28.4, 29.0, 33.4, 37.9, 38.8),
    "8B": (6.4, 8.3, 14.8, 20.5, 21.9),
}


def build(settings: Settings) -> None:
    """A closed drawer; its figures are drawn when it is opened."""
    with gr.Accordion("Do more tasks help on tasks never seen?", open=False) as drawer:
        sheet = sheet_box(elem_id="scaling")
    drawer.expand(lambda: proof(panel_html(settings.assets / "recorded" / "task-scaling.json")), None, sheet, api_visibility="private")  # fmt: skip


def panel_html(recorded: Path) -> str:
    """Both experiments as charts, with what they say. Without a record of ours the paper's stands alone."""
    from evaluation.charts import scaling_figure

    charts = chart_html(scaling_figure(TASKS, PUBLISHED).to_json(), "Flan-PaLM, the paper", "held-out average by tasks")
    words = f"The paper ({PAPER}): normalised average over held-out benchmarks."
    if recorded.exists():
        record = json.loads(recorded.read_text(encoding="utf-8"))
        numbers, lines = course(record)
        charts += chart_html(scaling_figure(numbers, lines).to_json(), "The bundled model", "score by tasks")
        words += (
            f" Ours: {record['minutes']:g} minutes of training on so many tasks, mean of {_seeds(record)} seeds, ROUGE-L of "
            f"{record['cases']} answers a task; none of these tasks is ever trained on. docs/flan.md says what agrees and what does not."
        )
    return tag("div", charts, class_="charts") + tag("p", words, class_="quiet")


def course(record: dict[str, Any]) -> tuple[list[str], dict[str, list[float]]]:
    """Numbers of tasks, ascending, and each held-out task's mean over the seeds at each of them."""
    found = defaultdict[str, dict[int, list[float]]](lambda: defaultdict(list))
    for run in record["runs"]:
        for task, score in run["scores"].items():
            found[task][run["tasks"]].append(score)
    numbers = sorted({run["tasks"] for run in record["runs"]})
    return list(map(str, numbers)), {task: [mean(by[number]) for number in numbers] for task, by in found.items()}


def _seeds(record: dict[str, Any]) -> int:
    return len({run["seed"] for run in record["runs"]})
