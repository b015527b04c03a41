"""A comparison as HTML: verdict, figures, charts, table of examples and the sheet with marked spans, all text escaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape

from dialogues.dialogue import Dialogue, Turn
from evaluation.comparison import Comparison, Row
from evaluation.coverage import KINDS, coverage, kept_of, salient
from evaluation.findings import RUN, CheckpointScores, ci, label, number, signed
from evaluation.report import ExampleResult, Verdict
from evaluation.several import beside
from sharing.drawing import svg

FILTERS = ("all", "improved", "regressed", "invention removed", "invention introduced", "different")
SORTS = {"order": "file order", "gain": "largest gain", "loss": "largest loss", "flags": "most unsupported facts"}
PER_PAGE = 50
# Names of the scores that a reader meets, with what they mean in a few words.
KPIS = (
    ("rougeL", "ROUGE-L", 1),
    ("unsupported", "Unsupported facts per summary", -1),
    ("flagged", "Summaries with an unsupported fact, %", -1),
    ("length", "Length, words", 0),
)
# Told in one quiet line below: what a reader asks for next, each with its unit.
ALSO = (
    ("support", "support by the chat", " %"),
    ("coverage", "key facts of the reference kept", " %"),
    ("salience", "of the chat's own weighty facts", " %"),
    ("bleu", "BLEU", ""),
    ("chrf", "chrF", ""),
    ("copied", "copied from the chat", " %"),
    ("novel", "new word pairs", " %"),
    ("length_ratio", "length against references", " ×"),
)
MOST_MISSING = 8
Link = Callable[[int], str]  # a row's number in the comparison → the address that shows it


def tag(element: str, body: str, /, **attributes: str | int | None) -> str:
    """`tag("b", "x", class_="id")` with escaped attributes; `body` is HTML already."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{element}{shown}>{body}</{element}>"


def verdict_html(comparison: Comparison) -> str:
    """The verdict sentence and the honesty badges."""
    badges = "".join(tag("li", escape(badge)) for badge in comparison.badges)
    return tag("p", escape(comparison.verdict), class_="verdict") + (
        tag("ul", badges, class_="badges") if badges else ""
    )


def kpis_html(comparison: Comparison, step: int) -> str:
    """The ruled strip of figures for one checkpoint, each with its paired change against zero-shot and interval."""
    checkpoint = comparison.checkpoint(step)
    cells = [_kpi(checkpoint, *kpi) for kpi in KPIS if kpi[0] in checkpoint.means]
    return tag("dl", "".join(cells), class_="kpis") + _also_html(checkpoint)


def _also_html(checkpoint: CheckpointScores) -> str:
    """The further scores with their paired change where it is sure; "" for comparisons that were made without them."""
    parts = []
    for score, name, unit in ALSO:
        mean, change = checkpoint.means.get(score), checkpoint.change.get(score)
        if mean is not None and mean.mean is not None:
            sure = change is not None and (change.above_zero or change.below_zero)
            parts.append(f"{name} {number(mean.mean)}{unit}" + (f" ({signed(change)})" if change and sure else ""))
    return tag("p", escape(" · ".join(parts)), class_="quiet") if parts else ""


def _kpi(checkpoint: CheckpointScores, score: str, name: str, better: int) -> str:
    mean, change = checkpoint.means[score], checkpoint.change.get(score)
    if mean.mean is None:
        shown, words = "unknown", f"for all {mean.unknown} chats"
    elif change is None or change.mean is None:
        shown, words = number(mean.mean), escape(ci(mean)) if mean.low is not None else ""
    else:
        sure = change.above_zero or change.below_zero
        direction = (change.mean > 0) - (change.mean < 0)
        look = None if not sure or not better else "good" if direction == better else "bad"
        spread = f", {ci(change)}" if change.low is not None else ""
        shown, words = (
            number(mean.mean),
            tag("span", escape(signed(change)), class_=look) + escape(f" vs zero-shot{spread}"),
        )
    cells = tag("dt", escape(name)) + tag("dd", shown, class_="figure") + tag("dd", words, class_="change")
    return tag("div", cells, class_="kpi")


def charts_html(comparison: Comparison, step: int) -> str:
    """Both curves over checkpoints: drawn here, and again in the browser from the figure that stands in the element."""
    return tag("div", "".join(chart_html(*chart, still=True) for chart in charts(comparison, step)), class_="charts")


def charts(comparison: Comparison, step: int) -> list[tuple[str, str, str]]:
    """Each chart of a comparison: its figure (plotly JSON), its title, its units."""
    from evaluation.charts import invention_figure, overlap_figure

    overlap, invention = (draw(comparison, step).to_json() for draw in (overlap_figure, invention_figure))
    return [
        (overlap, "ROUGE by checkpoint", "F1 × 100, 95 % bands"),
        (invention, "Unsupported facts by checkpoint", "per summary, 95 % band"),
    ]


def chart_html(figure: str, title: str, units: str, still: bool = False, alive: bool = True) -> str:
    """One figure (plotly JSON) under its title and units; `still` draws it here, `alive` lets the browser draw it."""
    caption = tag("figcaption", f"{escape(title)} {tag('span', escape(units))}")
    drawing, data = svg(json.loads(figure)) if still else "", figure if alive else None
    return tag("figure", caption + tag("div", drawing, class_="chart", data_figure=data, role="img", aria_label=title))


def sorts(comparison: Comparison) -> dict[str, str]:
    """Every order that a comparison's examples can stand in, with its words: the usual ones, then by each score."""
    known = {name: words for name, words, _ in KPIS}
    scores = dict.fromkeys(name for row in comparison.rows[:1] for out in row.outputs.values() for name in out.scores)
    ends = (("low", "lowest"), ("high", "highest"))
    return SORTS | {f"{end}:{name}": f"{known.get(name, name)}: {words}" for name in scores for end, words in ends}


def choose_rows(comparison: Comparison, step: int, kept: str = "all", order: str = "order") -> list[int]:
    """The numbers of the rows that a filter keeps, in the asked order; what is unknown stands last."""
    numbers = [at for at, row in enumerate(comparison.rows) if kept == "all" or kept in row.tags(step)]
    end, _, score = order.partition(":")
    if score:
        sign = -1 if end == "high" else 1
        values = {at: comparison.rows[at].outputs[step].scores.get(score) for at in numbers}
        return sorted(numbers, key=lambda at: (values[at] is None, sign * (values[at] or 0.0)))
    if order == "flags":
        return sorted(numbers, key=lambda at: -(comparison.rows[at].outputs[step].scores.get("unsupported") or 0))
    if order in ("gain", "loss"):
        sign = -1 if order == "gain" else 1
        return sorted(numbers, key=lambda at: sign * (comparison.rows[at].change(step, "rougeL") or 0.0))
    return numbers


def table_html(comparison: Comparison, step: int, numbers: Sequence[int], chosen: int, link: Link) -> str:
    """The examples: ROUGE-L of zero-shot and of each run, `step`'s change as a bar, flags. A row is one link."""
    if not numbers:
        return tag(
            "div", tag("p", "No chat matches this filter.", class_="quiet", style="padding:12px"), class_="examples"
        )
    shown = beside(comparison, step)
    names = [(f"Run {at // RUN}" if at >= RUN else "Tuned", label(at)) for at in shown]
    scores = "".join(tag("th", name, class_="n", title=words) for name, words in [("Zero-shot", None), *names])
    head = f'<th class="id">Chat</th><th>Topic</th>{scores}<th>ROUGE-L change</th><th class="n">Flags</th>'
    body = "".join(_table_row(comparison.rows[at], at, step, shown, at == chosen, link(at)) for at in numbers)
    table = tag("table", f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>", role="grid", aria_label="Examples")
    return tag("div", table, class_="examples")


def _table_row(row: Row, at: int, step: int, shown: Sequence[int], selected: bool, address: str) -> str:
    outputs, change = [row.outputs[one] for one in (0, *shown)], row.change(step, "rougeL")
    flags = [_flags(output) for output in outputs]
    cells = (
        tag("td", tag("a", escape(row.example_id), href=address, tabindex=-1), class_="id", title=row.example_id),
        tag("td", tag("a", escape(row.topic or f"chat {at + 1}"), href=address), class_="topic"),
        *(tag("td", _score(output, "rougeL"), class_="n") for output in outputs),
        tag("td", _bar(change) + ("unknown" if change is None else f"{change:+.1f}".replace("-", "−"))),
        tag("td", f"{flags[0]}→{' · '.join(flags[1:])}", class_="n"),
    )
    return tag("tr", "".join(cells), data_pick=at, tabindex=0 if selected else -1, aria_selected=str(selected).lower())


def _bar(change: float | None) -> str:
    if change is None:
        return ""
    return tag("i", "", class_="bar" if change >= 0 else "bar down", style=f"width:{min(abs(change), 60) * 0.8:.0f}px")


def _score(result: ExampleResult, score: str) -> str:
    value = result.scores.get(score)
    return "unknown" if value is None else number(value)


def _flags(result: ExampleResult) -> str:
    count = sum(verdict.unsupported for verdict in result.verdicts)
    return tag("span", str(count), class_=None if count else "zero")


def sheet_html(row: Row, *steps: int, missing: bool = True) -> str:
    """One chat with its turns, the zero-shot summary and those of `steps` side by side with marks, and the references.

    `missing` lists what each summary lost; that loads the stemmer, so the app's first paint does without.
    """
    title = tag("h3", escape(row.topic or row.example_id))
    if row.topic:
        title += tag("span", escape(row.example_id), class_="quiet")
    shown = {0: "Zero-shot"} | {step: _name(step) for step in steps if step}
    pair = "".join(_result_html(name, row.outputs[step], row, missing) for step, name in shown.items())
    references = "".join(_reference_html(text, at, len(row.references)) for at, text in enumerate(row.references))
    parts = (tag("header", title + KEY), turns_html(row.turns), tag("div", pair, class_="pair"), references)
    return tag("article", "".join(parts), class_="sheet")


def _name(step: int) -> str:
    return label(step).capitalize() if step >= RUN else f"Tuned, step {step}"


def _result_html(title: str, result: ExampleResult, row: Row, missing: bool) -> str:
    count = sum(verdict.unsupported for verdict in result.verdicts)
    about = f"ROUGE-L {_score(result, 'rougeL')} · {count} flag{'s' if count != 1 else ''}"
    if result.input_truncated:
        about += " · chat cut at the window"
    heading = tag("h4", f"{escape(title)}{tag('span', about)}")
    untold = _missing_html(result.summary, row) if missing else ""
    return tag("div", heading + summary_html(result.summary, result.verdicts) + untold)


def _missing_html(summary: str, row: Row) -> str:
    """The key facts that a summary lost: of its nearest reference, or of the chat where there is none."""
    if row.references:
        missing = coverage(summary, row.references).missing
    else:
        missing = kept_of(summary, salient(Dialogue(row.example_id, row.turns))).missing
    if not missing:
        return ""
    more = f" and {len(missing) - MOST_MISSING} more" if len(missing) > MOST_MISSING else ""
    weighty = sorted(missing, key=lambda fact: KINDS.index(fact.kind))  # values and names before words
    listed = ", ".join(fact.text for fact in weighty[:MOST_MISSING])
    return tag("p", escape(f"Not told: {listed}{more}"), class_="quiet")


def _reference_html(text: str, at: int, count: int) -> str:
    heading = tag("h4", "Reference" if count == 1 else f"Reference {at + 1}")
    return tag("div", heading + tag("p", escape(text), class_="summary"), class_="reference")


def turns_html(turns: Sequence[Turn]) -> str:
    """The chat, one numbered line a turn; the first speaker's name is drawn quieter than the others'."""
    first = turns[0].speaker if turns else ""
    lines = (
        tag(
            "li",
            tag("b", escape(turn.speaker)) + tag("span", escape(turn.text)),
            class_="first" if turn.speaker == first else None,
        )
        for turn in turns
    )
    return tag("ol", "".join(lines), class_="turns") if turns else ""


def summary_html(summary: str, verdicts: Sequence[Verdict]) -> str:
    """The summary with its spans marked by what the chat says about them."""
    parts, at = [], 0
    for verdict in verdicts:
        parts += [escape(summary[at : verdict.start]), _mark(summary[verdict.start : verdict.end], verdict)]
        at = verdict.end
    text = "".join(parts) + escape(summary[at:])
    return tag("p", text or tag("span", "(nothing was written)", class_="quiet"), class_="summary")


def _mark(text: str, verdict: Verdict) -> str:
    return tag(
        "span",
        escape(text),
        class_=f"mark {verdict.status}",
        role="note" if verdict.reason else None,
        tabindex=0,
        data_turn=verdict.turn,
        data_why=verdict.reason or None,
        aria_label=f"{text}: {verdict.reason}" if verdict.reason else None,
    )


KEY = tag(
    "p",
    '<span class="mark supported">in the chat</span><span class="mark absent">not in the chat</span>'
    '<span class="mark contradicted">contradicts it</span>'
    '<span class="mark new">its own word</span>',
    class_="key",
)


def signature_html(comparison: Comparison) -> str:
    """What every number on the page was measured with."""
    return tag("p", escape(f"Measured with {comparison.signature}"), class_="signature")
