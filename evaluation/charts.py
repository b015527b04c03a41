"""A comparison becomes plotly figures: one curve over checkpoints a score, with its 95 % band and reference lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluation.comparison import Comparison

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Light colours only: the page swaps each for its dark twin, so one figure serves both.
TEAL, ROSE, SLATE, ASH, INK, MUTED, GRID = "#0f7268", "#b3123e", "#66797d", "#9fb0b3", "#12262a", "#566b6f", "#e3e9e9"
BAND = {
    TEAL: "rgba(15,114,104,0.13)",
    ROSE: "rgba(179,18,62,0.11)",
    SLATE: "rgba(102,121,125,0.10)",
    ASH: "rgba(159,176,179,0.12)",
}


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
    """ROUGE F1 (0-100) over training steps; LEAD-3, zero-shot and human agreement as dashed ROUGE-L lines."""
    zero = comparison.checkpoint(0).means["rougeL"].mean
    lines = {
        "LEAD-3": comparison.lead3.get("rougeL"),
        "zero-shot": zero,
        "two people": comparison.human.get("rougeL"),
    }
    return _figure(comparison, OVERLAP, step, {name: value for name, value in lines.items() if value is not None})


def invention_figure(comparison: Comparison, step: int) -> Figure:
    """Unsupported facts per summary over training steps."""
    zero = comparison.checkpoint(0).means["unsupported"].mean
    return _figure(comparison, INVENTION, step, {} if zero is None else {"zero-shot": zero})


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


def _figure(comparison: Comparison, curves: Sequence[Curve], step: int, lines: Mapping[str, float]) -> Figure:
    import plotly.graph_objects as go

    figure, steps = go.Figure(), [checkpoint.step for checkpoint in comparison.checkpoints]
    ends: list[dict[str, Any]] = []
    for curve in curves:
        found = [checkpoint.means[curve.score] for checkpoint in comparison.checkpoints]
        for trace in _traces(curve, steps, [(one.mean, one.low, one.high) for one in found]):
            figure.add_trace(trace)
        if (end := found[-1].mean) is not None:
            ends.append(_label(steps[-1], end, f"<b>{curve.label}</b>" if curve.strong else curve.label, curve.colour))
    for name, value in lines.items():
        figure.add_hline(y=value, line={"color": MUTED, "width": 1, "dash": "dot"})
        ends.append(_label(steps[-1], value, name, MUTED))
    figure.add_vline(x=step, line={"color": INK, "width": 1, "dash": "dot"})
    for label in _apart(ends):
        figure.add_annotation(**label)
    marks = ["zero-shot" if at == 0 else str(at) for at in steps]
    figure.update_layout(**_layout({"tickvals": steps, "ticktext": marks, "range": [-0.02 * steps[-1] - 1, steps[-1]]}))
    return figure


def _traces(curve: Curve, steps: list[int], points: list[tuple[float | None, float | None, float | None]]) -> list[Any]:
    """The band as one closed outline, then the line over it with a dot a checkpoint."""
    import plotly.graph_objects as go

    known = [(at, *point) for at, point in zip(steps, points, strict=True) if None not in point]
    around = [at for at, *_ in known]
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
