"""A published comparison as files to keep: one HTML file that opens offline, scores as CSV, a snippet for a model card."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from html import escape

from evaluation.comparison import Comparison, Row
from evaluation.findings import RUN, CheckpointScores, label
from evaluation.several import beside
from sharing.breakdown import slices_html
from sharing.page import about_html, figures_html, folded
from sharing.sheet import chart_html, charts, kpis_html, sheet_html, signature_html, tag, verdict_html
from sharing.snapshot import Published

# The file runs nothing and asks for nothing: not from the disk it lies on, not from any network.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
_TASK, _KIND = "summarization", "rouge"


def html_file(published: Published, step: int, style: str) -> str:
    """One document without any script: figures and drawn curves of checkpoint `step`, and every example folded.

    The curves are inline SVG of a few kilobytes; the plotting library would add 4.8 MB to each file for zooming alone.
    """
    comparison = published.comparison
    parts = [
        tag("p", tag("strong", escape(comparison.title)), class_="mast"),
        verdict_html(comparison),
        about_html(published),
        tag("p", f"Figures and examples of {escape(comparison.checkpoint(step).label)}.", class_="quiet"),
        kpis_html(comparison, step),
        tag(
            "div",
            "".join(chart_html(*one, still=True, alive=False) for one in charts(comparison, step)),
            class_="charts",
        ),
        figures_html(comparison),
        folded("Slices by length, turns and topic", slices_html(comparison, step)),
        "".join(_folded(row, step, beside(comparison, step)) for row in comparison.rows),
        signature_html(comparison),
    ]
    turns = max((len(row.turns) for row in comparison.rows), default=0)
    style = _FONT_FACE.sub("", style) + _lights(turns)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>{escape(comparison.title)} · TuneProof</title><style>{style}</style></head>
<body class="page"><main class="proof">{"".join(parts)}</main></body></html>"""


def _folded(row: Row, step: int, shown: Sequence[int]) -> str:
    change = row.change(step, "rougeL")
    words = "" if change is None else f" ROUGE-L {change:+.1f}".replace("-", "−").replace("ROUGE−L", "ROUGE-L")
    heading = tag("summary", escape(row.topic or row.example_id) + tag("span", escape(words), class_="quiet"))
    return tag("details", heading + sheet_html(row, *shown), class_="example")


def _lights(turns: int) -> str:
    """What the page's script does, in style: a mark that is pointed at lights the turn it speaks of."""
    rule = '.sheet:has(.mark[data-turn="{0}"]:is(:hover,:focus)) .turns li:nth-child({1})'
    lit = ",".join(rule.format(turn, turn + 1) for turn in range(min(turns, 60)))
    return f"{lit}{{background:color-mix(in srgb,var(--ok) 16%,transparent)}}" if lit else ""


def csv_file(comparison: Comparison) -> str:
    """A line for each chat and checkpoint: id, topic, checkpoint, every score, the summary. Unknown is empty, never 0."""
    names = list(dict.fromkeys(name for row in comparison.rows for out in row.outputs.values() for name in out.scores))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["chat", "topic", "step", *names, "summary"])
    for row in comparison.rows:
        for step, result in sorted(row.outputs.items()):
            scores = [result.scores.get(name) for name in names]
            name = label(step) if step >= RUN else step
            writer.writerow([_cell(row.example_id), _cell(row.topic), name, *scores, _cell(result.summary)])
    return "\ufeff" + file.getvalue()  # the mark tells spreadsheet programs that it is UTF-8


def _cell(text: str) -> str:
    """Text that a spreadsheet takes for text: a leading sign that starts a formula is quoted."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def model_card(comparison: Comparison, step: int) -> str:
    """Markdown to paste into a model's README: its `model-index` front matter, the verdict, the figures, the signature."""
    from huggingface_hub import EvalResult, ModelCardData

    checkpoint, signature = comparison.checkpoint(step), comparison.signature
    results = [
        EvalResult(
            task_type=_TASK, dataset_type=signature.data, dataset_name=signature.data_name, dataset_split=signature.split,
            metric_type=_KIND if name.startswith("rouge") else name, metric_name=name, metric_value=round(value, 2),
            metric_config=signature.metrics,
        )
        for name, value in _known(checkpoint)
    ]  # fmt: skip
    data = ModelCardData(model_name=comparison.title, eval_results=results).to_yaml()
    table = ["| score | mean | 95 % CI | change from zero-shot |", "|---|---|---|---|"]
    table += [_line(name, checkpoint) for name, _ in _known(checkpoint)]
    said = _plain(comparison.verdict), "\n".join(table), f"Measured with {_plain(str(signature))}"
    return f"---\n{data.strip()}\n---\n\n## Evaluation\n\n" + "\n\n".join(said) + "\n"


def _known(checkpoint: CheckpointScores) -> list[tuple[str, float]]:
    found = ((name, one.mean) for name, one in checkpoint.means.items() if not name.endswith("_mean"))
    return [(name, mean) for name, mean in found if mean is not None]


def _line(name: str, checkpoint: CheckpointScores) -> str:
    mean, change = checkpoint.means[name], checkpoint.change.get(name)
    spread = "–" if mean.low is None or mean.high is None else f"{mean.low:.2f} to {mean.high:.2f}"
    moved = "–" if change is None or change.mean is None else f"{change.mean:+.2f}"
    return f"| {_plain(name)} | {mean.mean:.2f} | {spread} | {moved} |"


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave alone: every sign that may start markup is escaped."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", " ".join(text.split()))
