"""Slices of a comparison as a table of words and figures."""

from __future__ import annotations

from html import escape

from evaluation.comparison import Comparison
from evaluation.findings import ci, signed
from evaluation.significance import Interval
from evaluation.slices import slices
from sharing.sheet import tag

HEADS = {"length": "By length of the chat", "turns": "By number of turns", "topic": "By topic"}


def slices_html(comparison: Comparison, step: int) -> str:
    """The paired changes of checkpoint `step` by length, turns and topic; "" where there is nothing to compare."""
    found = slices(comparison, step) if step else []
    if not found:
        return ""
    lines = []
    for kind, words in HEADS.items():
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            lines.append(tag("tr", tag("th", words, colspan=4, scope="rowgroup")))
        for one in of_kind:
            cells = tag("td", escape(one.name), class_="topic") + tag("td", str(one.n), class_="n")
            lines.append(tag("tr", cells + _change(one.change["rougeL"], 1) + _change(one.change["unsupported"], -1)))
    head = (
        '<th>Slice</th><th class="n">n</th><th class="n">ROUGE-L change</th><th class="n">Unsupported facts change</th>'
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    caution = "Of twenty slices one misses by chance; n below six gives no interval."
    return tag("div", table, class_="examples slices") + tag("p", caution, class_="quiet")


def _change(change: Interval, better: int) -> str:
    if change.mean is None:
        return tag("td", "unknown", class_="n")
    sure = change.above_zero or change.below_zero
    look = None if not sure else "good" if (change.mean > 0) == (better > 0) else "bad"
    spread = "" if change.low is None else tag("span", escape(f" {ci(change)}"), class_="quiet")
    return tag("td", tag("span", escape(signed(change)), class_=look) + spread, class_="n")
