"""A comparison becomes plotly figures: one curve over checkpoints a score, with its 95 % band and reference lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluation.comparison import Comparison
from evaluation.findings import RUN, CheckpointScores, by_run

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Light colours only: the page swaps each for its dark twin, so one figure serves both.
TEAL, ROSE, SLATE, ASH, INK, MUTED, GRID = "#0f7268", "#b3123e", "#66797d", "#9fb0b3", "#12262a", "#566b6f", "#e3e9e9"
INDIGO, AMBER = "#4453a8", "#9c4708"
BAND = {
    TEAL: "rgba(15,114,104,0.13)",
    ROSE: "rgba(179,18,62,0.11)",
    SLATE: "rgba(102,121,125,0.10)",
    ASH: "rgba(159,176,179,0.12)",
    INDIGO: "rgba(68,83,168,0.11)",
    AMBER: "rgba(156,71,8,0.11)",
}
RUNS = (TEAL, INDIGO, AMBER, SLATE)  # among several, run 1 and so on


@dataclass(frozen=True, slots=True)
class Curve:
    """One score to draw: its name in the comparison, its label at the line's end, its colour."""

    score: str
    label: str
    colour: str
    strong: bool = False


OVERLAP = (
    Curve("rouge1", "ROUGE-1", SLATE),
    Curve("rouge2", "ROUGE-2", ASH),
    Curve("rougeL", "ROUGE-L", TEAL, strong=True),
)
INVENTION = (Curve("unsupported", "unsupported", ROSE, strong=True),)


def overlap_figure(comparison: Comparison, step: int) -> Figure:
    """ROUGE F1 (0-100) over training steps, of several runs ROUGE-L; LEAD-3, zero-shot and human agreement as dashed lines."""
    zero = comparison.checkpoint(0).means["rougeL"].mean
    lines = {
        "LEAD-3": comparison.lead3.get("rougeL"),
        "zero-shot": zero,
        "two people": comparison.human.get("rougeL"),
    }
    return _figure(_courses(comparison, OVERLAP), step, {name: one for name, one in lines.items() if one is not None})


def invention_figure(comparison: Comparison, step: int) -> Figure:
    """Unsupported facts per summary over training steps."""
    zero = comparison.checkpoint(0).means["unsupported"].mean
    return _figure(_courses(comparison, INVENTION), step, {} if zero is None else {"zero-shot": zero})


def _courses(comparison: Comparison, curves: Sequence[Curve]) -> list[tuple[Curve, list[CheckpointScores]]]:
    """What is drawn along which checkpoints: every curve of one run, of several runs the strong one of each."""
    runs = by_run(comparison.checkpoints)
    if list(runs) == [0]:
        return [(curve, runs[0]) for curve in curves]
    score = next(curve.score for curve in curves if curve.strong)
    return [(Curve(score, f"run {run}", RUNS[run - 1], strong=True), points) for run, points in runs.items()]


def loss_figure(training: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]], steps: int) -> Figure:
    """Training and validation loss (nats per token) by step, on an axis that already shows the whole run."""
    import plotly.graph_objects as go

    figure = go.Figure()
    lines = ((training, "training", TEAL, "lines", 8), (validation, "validation", SLATE, "lines+markers", -14))
    for points, label, colour, mode, shift in lines:
        if points:
            x, y = zip(*points, strict=True)
            figure.add_scatter(x=x, y=y, mode=mode, line={"color": colour, "width": 2.2}, name=label)
            figure.add_annotation(**_label(x[-1], y[-1], f"{label} {y[-1]:.2f}", colour), yshift=shift)
    figure.update_layout(**_layout({"range": [0, max(steps, 1)], "title": {"text": "step"}}))
    return figure


def scaling_figure(numbers: Sequence[str], lines: Mapping[str, Sequence[float]]) -> Figure:
    """Scores by how many tasks a model was tuned on: a value of each line stands over each of `numbers`, evenly apart."""
    import plotly.graph_objects as go

    figure, places = go.Figure(), list(range(len(numbers)))
    colours = dict(zip(lines, (TEAL, INDIGO, AMBER, SLATE), strict=False))
    for name, values in lines.items():
        look = {"color": colours[name], "width": 2.2}
        figure.add_scatter(x=places, y=list(values), mode="lines+markers", line=look, name=name)
    for placed in _apart([_label(places[-1], values[-1], name, colours[name]) for name, values in lines.items()]):
        figure.add_annotation(**placed)
    figure.update_layout(**_layout({"tickvals": places, "ticktext": list(numbers), "range": [-0.1, places[-1]]}))
    figure.update_layout(margin_r=130)  # names of tasks are longer than those of scores
    return figure


def _figure(
    courses: Sequence[tuple[Curve, Sequence[CheckpointScores]]], step: int, lines: Mapping[str, float]
) -> Figure:
    import plotly.graph_objects as go

    figure, steps = go.Figure(), sorted({at.step % RUN for _, points in courses for at in points})
    ends: list[dict[str, Any]] = []
    for curve, points in courses:
        for trace in _traces(curve, points):
            figure.add_trace(trace)
        if (end := points[-1].means[curve.score].mean) is not None:
            name = f"<b>{curve.label}</b>" if curve.strong else curve.label
            ends.append(_label(points[-1].step % RUN, end, name, curve.colour))
    for name, value in lines.items():
        figure.add_hline(y=value, line={"color": MUTED, "width": 1, "dash": "dot"})
        ends.append(_label(steps[-1], value, name, MUTED))
    figure.add_vline(x=step % RUN, line={"color": INK, "width": 1, "dash": "dot"})
    for x in sorted({end["x"] for end in ends}):
        for placed in _apart([end for end in ends if end["x"] == x]):
            figure.add_annotation(**placed)
    marks = [str(at) if at else "zero-shot" for at in steps]
    figure.update_layout(**_layout({"tickvals": steps, "ticktext": marks, "range": [-0.02 * steps[-1] - 1, steps[-1]]}))
    return figure


def _traces(curve: Curve, points: Sequence[CheckpointScores]) -> list[Any]:
    """The band as one closed outline, then the line over it with a dot a checkpoint, which knows the checkpoint's number."""
    import plotly.graph_objects as go

    found = [(at.step, at.means[curve.score]) for at in points]
    known = [(at, one.mean, one.low, one.high) for at, one in found if None not in (one.mean, one.low, one.high)]
    around = [at % RUN for at, *_ in known]
    outline = [high for *_, high in known] + [low for _, _, low, _ in known][::-1]
    band = go.Scatter(
        x=around + around[::-1], y=outline, fill="toself", fillcolor=BAND[curve.colour], mode="none", hoverinfo="skip"
    )
    text = [f"{curve.label} {mean:.2f} (95 % {low:.2f} to {high:.2f})" for _, mean, low, high in known]
    line = go.Scatter(
        x=around,
        y=[mean for _, mean, _, _ in known],
        mode="lines+markers",
        line={"color": curve.colour, "width": 2.6 if curve.strong else 1.8},
        marker={"size": 7 if curve.strong else 5},
        text=text,
        customdata=[at for at, *_ in known],
        hovertemplate="%{text}<extra></extra>",
    )
    return [band, line]


def _label(x: float, y: float, text: str, colour: str) -> dict[str, Any]:
    return {
        "x": x,
        "y": y,
        "text": text,
        "font": {"color": colour, "size": 12},
        "xanchor": "left",
        "xshift": 8,
        "showarrow": False,
    }


def _apart(labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Labels pushed up so that none lies on another: 15 pixels apart where their lines end closer than that."""
    if len(labels) < 2:
        return labels
    ordered = sorted(labels, key=lambda label: float(label["y"]))
    low, high = float(ordered[0]["y"]), float(ordered[-1]["y"])
    pixels_per_unit = 190 / max(high * 1.1, high - low, 1e-9)  # the axis starts at zero
    free = float("-inf")
    placed = []
    for label in ordered:
        at = float(label["y"]) * pixels_per_unit
        placed.append({**label, "yshift": max(0.0, free - at)})
        free = max(at, free) + 15
    return placed


def _layout(xaxis: dict[str, Any]) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zeroline": False, "color": MUTED, "tickfont": {"size": 12}, "fixedrange": False}
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "IBM Plex Sans, system-ui, sans-serif", "color": INK},
        "margin": {"l": 36, "r": 96, "t": 12, "b": 32},
        "showlegend": False,
        "xaxis": {**axis, "showgrid": False, **xaxis},
        "yaxis": {**axis, "rangemode": "tozero"},
        "hovermode": "closest",
        "uirevision": "kept",
        "template": "none",
    }
