"""A plotly figure as a few kilobytes of inline SVG: for paper, for readers without script, for a file opened offline.

It draws what `evaluation/charts.py` makes, from the same figure: filled bands, lines with dots, ruled lines, labels.
Colours are the style sheet's own, so that one drawing serves light, dark and paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from evaluation.charts import AMBER, ASH, GRID, INDIGO, INK, MUTED, ROSE, SLATE, TEAL

WIDTH, HEIGHT = 520, 270  # user units; a unit is a pixel where the column is that wide
LEFT, RIGHT, TOP, BOTTOM = 36, 112, 12, 32
_VARIABLES = {
    TEAL: "ok", ROSE: "co", SLATE: "mut", ASH: "faint", MUTED: "mut", INK: "ink", GRID: "grid", INDIGO: "run", AMBER: "un"
}  # fmt: skip
_RGBA = re.compile(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)")


@dataclass(frozen=True, slots=True)
class Scale:
    """Data values → user units, along both axes."""

    x: tuple[float, float]
    y: tuple[float, float]

    def right(self, value: float) -> float:
        return LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)

    def up(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - BOTTOM - TOP)


def svg(figure: Mapping[str, Any]) -> str:
    """The drawing of a figure given as plain values (`Figure.to_plotly_json()` or its JSON read back)."""
    layout, traces = figure["layout"], figure["data"]
    scale = _scale(layout, traces)
    parts = [
        *_grid(layout["xaxis"], scale),
        *(_trace(trace, scale) for trace in traces),
        *(_rule(shape, scale) for shape in layout.get("shapes", ())),
        *(_label(note, scale) for note in layout.get("annotations", ())),
    ]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" font-size="12">{"".join(parts)}</svg>'


def _scale(layout: Mapping[str, Any], traces: Sequence[Mapping[str, Any]]) -> Scale:
    low, high = layout["xaxis"]["range"]
    heights = [float(y) for trace in traces for y in _numbers(trace["y"])]
    heights += [float(shape["y0"]) for shape in layout.get("shapes", ()) if shape.get("xref") == "x domain"]
    bottom, top = min([0.0, *heights]), max([0.0, *heights])
    top = top + (top - bottom) * 0.06 or 1.0
    return Scale((float(low), max(float(high), float(low) + 1)), (bottom, top))


def _numbers(values: Any) -> list[float]:
    """The known values of an axis, wherever plotly keeps them (a list, a tuple or an array)."""
    return [value for value in list(values if values is not None else ()) if value is not None]


def _grid(axis: Mapping[str, Any], scale: Scale) -> Iterator[str]:
    for tick in _ticks(*scale.y):
        at, words = scale.up(tick), f"{tick:g}".replace("-", "−")
        yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="var(--grid)"/>'
        yield f'<text x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end" fill="var(--mut)">{words}</text>'
    free = -math.inf
    for value, words in zip(axis["tickvals"], axis["ticktext"], strict=True):
        at, half = scale.right(value), 3.4 * len(words)
        if at - half > free:
            yield f'<text x="{at:.1f}" y="{HEIGHT - 10}" text-anchor="middle" fill="var(--mut)">{escape(words)}</text>'
            free = at + half + 4


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round values between the two."""
    rough = (high - low) / 6
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * times for times in (1, 2, 5, 10) if size * times >= rough)
    return [round(step * at, 10) for at in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _trace(trace: Mapping[str, Any], scale: Scale) -> str:
    points = [(scale.right(x), scale.up(y)) for x, y in zip(_numbers(trace["x"]), _numbers(trace["y"]), strict=True)]
    if not points:
        return ""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    if trace.get("fill") == "toself":
        return f'<path d="{path}Z" {_fill(trace["fillcolor"])}/>'
    colour = _colour(trace["line"]["color"])
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{escape(words)}</title></circle>'
        for (x, y), words in zip(points, trace["text"], strict=True)
    )
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{float(trace["line"]["width"])}"/>{dots}'


def _rule(shape: Mapping[str, Any], scale: Scale) -> str:
    if shape.get("xref") == "x domain":
        path = f"M{LEFT} {scale.up(shape['y0']):.1f}H{WIDTH - RIGHT}"
    else:
        path = f"M{scale.right(shape['x0']):.1f} {TOP}V{HEIGHT - BOTTOM}"
    return f'<path d="{path}" stroke="{_colour(shape["line"]["color"])}" stroke-dasharray="1.5 3"/>'


def _label(note: Mapping[str, Any], scale: Scale) -> str:
    x = scale.right(note["x"]) + note.get("xshift", 0)
    y = scale.up(note["y"]) - note.get("yshift", 0) + 4
    words = str(note["text"])
    strong = ' font-weight="700"' if words.startswith("<b>") else ""
    plain = escape(words.removeprefix("<b>").removesuffix("</b>"))
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_colour(note["font"]["color"])}"{strong}>{plain}</text>'


def _colour(colour: str) -> str:
    return f"var(--{_VARIABLES.get(colour, 'ink')})"


def _fill(rgba: str) -> str:
    """A band's colour: the line's own variable, as thin as the figure has it."""
    match = _RGBA.fullmatch(rgba)
    red, green, blue, thin = match.groups() if match else ("0", "0", "0", "0.1")
    return f'fill="{_colour(f"#{int(red):02x}{int(green):02x}{int(blue):02x}")}" fill-opacity="{thin}"'
