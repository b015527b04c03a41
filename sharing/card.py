"""The small picture that a chat program shows beside a link: title, verdict and the ROUGE-L curve, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from evaluation.charts import INK, MUTED, RUNS, TEAL
from evaluation.comparison import Comparison
from evaluation.findings import RUN, CheckpointScores, by_run

SIZE = 1200, 630  # pixels, as social previews ask for
PAPER, BANDS = "#ffffff", ("#dfeeec", "#e6e8f4", "#f4e9e1", "#eaedee")
_CURVE = 80, 420, 1120, 570  # left, top, right, bottom


def card_png(comparison: Comparison, regular: Path, bold: Path) -> bytes:
    """The picture, drawn with the two font files given (TTF, OTF or WOFF2)."""
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 16, SIZE[1]), fill=TEAL)
    draw.text((80, 56), "TuneProof", font=ImageFont.truetype(regular, 28), fill=MUTED)
    draw.text((80, 100), _short(comparison.title, 44), font=ImageFont.truetype(bold, 46), fill=INK)
    words = "\n".join(wrap(comparison.verdict, 68, max_lines=5, placeholder=" …"))
    draw.multiline_text((80, 180), words, font=ImageFont.truetype(regular, 33), fill=INK, spacing=10)
    _curve(draw, comparison)
    draw.text((80, 584), "ROUGE-L by checkpoint, 95 % band", font=ImageFont.truetype(regular, 24), fill=MUTED)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _short(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _curve(draw: ImageDraw.ImageDraw, comparison: Comparison) -> None:
    """ROUGE-L over steps with its band, a line a run; nothing where fewer than two checkpoints have an interval."""
    runs = [_known(points) for points in by_run(comparison.checkpoints).values()]
    every = [point for points in runs for point in points]
    if max(map(len, runs)) < 2:
        return
    left, top, right, bottom = _CURVE
    last, low, high = max(at[0] for at in every), min(at[1] for at in every), max(at[3] for at in every)

    def place(step: int, value: float) -> tuple[float, float]:
        return left + (right - left) * step / last, bottom - (bottom - top) * (value - low) / ((high - low) or 1)

    for points, band in zip(runs, BANDS, strict=False):
        upper = [place(step, value) for step, _, _, value in points]
        lower = [place(step, value) for step, value, _, _ in points]
        if len(points) > 1:
            draw.polygon([*upper, *lower[::-1]], fill=band)
    for points, line in zip(runs, RUNS, strict=False):
        middle = [place(step, value) for step, _, value, _ in points]
        draw.line(middle, fill=line, width=5, joint="curve")
        for x, y in middle:
            draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill=line)


def _known(points: Sequence[CheckpointScores]) -> list[tuple[int, float, float, float]]:
    """Step, lower end, mean and upper end of each checkpoint whose ROUGE-L has an interval."""
    found = [(at.step % RUN, at.means["rougeL"]) for at in points if "rougeL" in at.means]
    return [
        (step, one.low, one.mean, one.high)
        for step, one in found
        if one.mean is not None and one.low is not None and one.high is not None
    ]
