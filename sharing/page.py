"""The read-only page behind a link: one HTML document that a phone, a printer and a dark room can read."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from dialogues.dialogue import Problem
from evaluation.comparison import Comparison
from evaluation.findings import ci, number
from evaluation.several import beside
from evaluation.significance import Interval
from sharing.breakdown import slices_html
from sharing.link import ReadLink
from sharing.sheet import (
    FILTERS,
    KPIS,
    PER_PAGE,
    charts_html,
    choose_rows,
    kpis_html,
    sheet_html,
    signature_html,
    sorts,
    table_html,
    tag,
    verdict_html,
)
from sharing.snapshot import Published

SHOWS = {
    "numbers": "numbers only",
    "summaries": "numbers and summaries, no chats",
    "chats": "numbers, summaries and chats",
}

# The charts draw with inline styles; nothing else runs or loads from anywhere else.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self' https://huggingface.co"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",  # a link that was taken back shows nothing any more
}


@dataclass(frozen=True, slots=True)
class View:
    """What a reader looks at: a checkpoint, a filter, an order, a row. All of it stands in the address."""

    step: int
    kept: str
    order: str
    row: int

    @classmethod
    def asked(cls, comparison: Comparison, query: dict[str, str]) -> View:
        """The view that the address asks for; whatever is missing or makes no sense takes its default."""
        steps = [checkpoint.step for checkpoint in comparison.checkpoints]
        step = _number(query.get("step", ""))
        step = step if step in steps else comparison.chosen
        kept = query["show"] if query.get("show") in FILTERS else "all"
        order = query["sort"] if query.get("sort") in sorts(comparison) else "gain"
        numbers = choose_rows(comparison, step, kept, order)
        asked = _number(query.get("row", ""))
        row = asked if 0 <= asked < len(comparison.rows) else (numbers[0] if numbers else 0)
        return cls(step, kept, order, row)

    def address(self, row: int) -> str:
        """The same view with another row."""
        return "?" + urlencode({"step": self.step, "show": self.kept, "sort": self.order, "row": row}) + "#sheet"


def _number(text: str) -> int:
    """The number that an address names, or -1; what is longer than any number of ours is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def published_page(published: Published, snapshot_id: str, query: dict[str, str], origin: str = "") -> str:
    """The document behind `/c/<id>`; `origin` is the app's own address, which only the preview picture needs."""
    image = f"{origin}/c/{snapshot_id}/card.png" if origin else ""
    step = View.asked(published.comparison, query).step
    said = about_html(published) + files_html(published, snapshot_id, step)
    return page_html(published.comparison, query, said, image)


def numbers_page(link: ReadLink, query: dict[str, str]) -> str:
    """The document behind a numbers link, which says first whether this app vouches for it."""
    signed = "Issued here: these figures carry this app’s signature and stand as they were issued."
    unsigned = (
        "Unsigned: nobody here vouches for these figures. The link was made by another app, was altered, or was not "
        "copied whole."
    )
    notice = tag("p", signed if link.issued_here else unsigned, class_="notice" if link.issued_here else "notice warn")
    return page_html(link.comparison, query, notice)


def about_html(published: Published) -> str:
    """What a reader may know of the page: when it was frozen, how long it stands, what it shows, what was replaced."""
    until = f"open until {published.expires[:10]}" if published.expires else "open until it is revoked"
    counts = published.replaced or {}
    named = ", ".join(f"{count} × {kind}" for kind, count in sorted(counts.items()))
    replaced = f"personal data replaced: {named}" if named else ""
    said = (f"Published {published.published[:10]}", until, SHOWS.get(published.reveal, published.reveal), replaced)
    return tag("p", escape(" · ".join(part for part in said if part)), class_="quiet")


def files_html(published: Published, snapshot_id: str, step: int) -> str:
    """The files to keep, as links beside the page's own address."""
    files = {
        f"report.html?step={step}": "One HTML file, opens offline",
        "scores.csv": "Scores by chat (CSV)" if published.comparison.rows else "",
        "comparison.json": "JSON",
        f"model-card.md?step={step}": "Model card (Markdown)",
    }
    links = [tag("a", words, href=f"{snapshot_id}/{name}", download="") for name, words in files.items() if words]
    return tag("nav", "".join(links), class_="files", aria_label="Download")


def figures_html(comparison: Comparison) -> str:
    """Every checkpoint's main scores with their intervals, as a folded table: what the curves say, for reading."""
    first = comparison.checkpoints[0].means
    kpis = [(name, words) for name, words, _ in KPIS if name in first]
    head = "".join(tag("th", escape(words), class_="n") for _, words in kpis)
    lines = "".join(
        tag("tr", tag("th", escape(at.label), scope="row") + "".join(_figure(at.means.get(name)) for name, _ in kpis))
        for at in comparison.checkpoints
    )
    table = f"<table><thead><tr><th>Checkpoint</th>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return folded("All figures", tag("div", table, class_="examples"))


def folded(title: str, body: str) -> str:
    """HTML that opens on asking; nothing where there is nothing."""
    return tag("details", tag("summary", escape(title)) + body, class_="example") if body else ""


def _figure(interval: Interval | None) -> str:
    if interval is None or interval.mean is None:
        return tag("td", "unknown", class_="n")
    spread = "" if interval.low is None else tag("span", escape(f" {ci(interval)}"), class_="quiet")
    return tag("td", number(interval.mean) + spread, class_="n")


def page_html(comparison: Comparison, query: dict[str, str], said: str = "", image: str = "") -> str:
    """The whole document for the view that `query` asks for; `said` (HTML) stands under the verdict."""
    view = View.asked(comparison, query)
    numbers = choose_rows(comparison, view.step, view.kept, view.order)
    parts = [
        _mast(comparison),
        verdict_html(comparison),
        said,
        _controls(comparison, view),
        kpis_html(comparison, view.step),
        charts_html(comparison, view.step),
        figures_html(comparison),
        folded("Slices by length, turns and topic", slices_html(comparison, view.step)),
    ]
    if comparison.rows:
        table = table_html(comparison, view.step, _around(numbers, view.row), view.row, view.address)
        sheet = tag("section", sheet_html(comparison.rows[view.row], *beside(comparison, view.step)), id="sheet")
        parts.append(tag("div", tag("div", table) + sheet, class_="below"))
    parts.append(signature_html(comparison))
    return document(comparison.title, "".join(parts), comparison.verdict, image)


def refusal_page(problem: Problem) -> str:
    """The same plain page for every link that leads nowhere."""
    return document("No comparison here", tag("p", escape(str(problem)), class_="notice"), "")


def document(title: str, body: str, description: str, image: str = "") -> str:
    """An HTML document in the proof sheet's look, for an address one level below the app's own, wherever that lies.

    Its style and script come from beside it, so that a proxy may put the app under any prefix.
    """
    picture = f'<meta property="og:image" content="{escape(image)}">' if image else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{escape(title)} · TuneProof</title>
<meta name="description" content="{escape(description)}"><meta property="og:title" content="{escape(title)}">
<meta property="og:description" content="{escape(description)}">{picture}
<link rel="stylesheet" href="../proof/proofsheet.css"><link rel="stylesheet" href="../proof/page.css">
<script src="../proof/plotly.min.js" defer></script><script src="../proof/page.js" defer></script>
</head><body class="page" data-auto><main class="proof">{body}</main></body></html>"""


def _mast(comparison: Comparison) -> str:
    signature = comparison.signature
    about = f"{signature.n} {signature.split} chats · {signature.model.split('@')[0]}"
    return tag("p", tag("strong", escape(comparison.title)) + tag("span", escape(about)), class_="mast")


def _controls(comparison: Comparison, view: View) -> str:
    """Checkpoint, filter and order as a plain form: it works without any script."""
    steps = {str(checkpoint.step): checkpoint.label for checkpoint in comparison.checkpoints}
    selects = _select("Checkpoint", "step", steps, str(view.step))
    if comparison.rows:
        selects += _select("Show", "show", dict.fromkeys(FILTERS), view.kept) + _select(
            "Sort", "sort", sorts(comparison), view.order
        )
    return tag("form", selects + tag("button", "Show", type="submit"), class_="controls", method="get")


def _select(label: str, name: str, choices: dict[str, str] | dict[str, None], chosen: str) -> str:
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(words or value)}</option>'
        for value, words in choices.items()
    )
    return tag("label", escape(label) + tag("select", options, name=name))


def _around(numbers: list[int], row: int) -> list[int]:
    """The page of rows that holds the chosen one."""
    at = numbers.index(row) if row in numbers else 0
    start = at // PER_PAGE * PER_PAGE
    return numbers[start : start + PER_PAGE]
