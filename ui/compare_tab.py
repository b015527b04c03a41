"""The Compare tab: the verdict, its figures and curves, the examples behind them, and the link that carries it."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from html import escape

import gradio as gr

from dialogues.dialogue import Refused
from evaluation.comparison import Comparison, compare_run
from sharing.sheet import (
    FILTERS,
    PER_PAGE,
    SORTS,
    charts_html,
    choose_rows,
    kpis_html,
    sheet_html,
    signature_html,
    table_html,
    tag,
    verdict_html,
)
from tuning.runs import list_runs, open_run
from ui.look import EACH, LATEST, QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.settings import Settings

Links = list[list[str]]
RECORDED = "recorded"
NONE_YET = "Nothing has been measured yet. Start a run under Tune; its first figures stand here a few minutes later."
REVEALED = {
    "numbers": "Numbers only",
    "summaries": "Numbers and summaries, no chats",
    "chats": "Numbers, summaries and chats",
}
EXPIRES = {"30 days": 30, "90 days": 90, "never": None}
# A row answers to click, Enter and the arrow keys; the mark moves at once, the sheet follows.
ROWS_JS = """
const pick = (row) => {
  element.querySelectorAll('[aria-selected=true]').forEach((other) => { other.setAttribute('aria-selected', 'false'); other.tabIndex = -1; });
  row.setAttribute('aria-selected', 'true'); row.tabIndex = 0; row.focus({ preventScroll: false });
  trigger('select', { row: Number(row.dataset.pick) });
};
element.addEventListener('click', (event) => {
  const row = event.target.closest('[data-pick]');
  if (row) { event.preventDefault(); pick(row); }
});
element.addEventListener('keydown', (event) => {
  const row = event.target.closest('[data-pick]');
  const next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Enter: row }[event.key];
  if (next) { event.preventDefault(); pick(next); }
});
"""
CHARTS_JS = "element.addEventListener('pick', (event) => trigger('select', { step: event.detail.step }));"
LINK_JS = "(id) => id ? new URL(location.pathname, location.origin).toString() + '?compare=' + id : ''"


def build(
    settings: Settings, owner: gr.BrowserState, links: gr.BrowserState, tab: gr.Tab, current: gr.Dropdown
) -> None:
    """Lay the tab out and wire it; opening `tab` offers the owner's runs and shows the `current` one if it can.

    `links` is what this browser has published, [[words, id], …]: so that a link can still be revoked after a reload.
    """
    with gr.Row(equal_height=True):
        run = gr.Dropdown(
            [("Recorded: our sample chats", RECORDED)], value=RECORDED, label="Run", elem_id="compare-run", scale=3
        )
        step = gr.Dropdown([], label="Checkpoint", elem_id="compare-step", scale=2)
        renew = gr.Button("Look again", scale=1, min_width=120)
    top = sheet_box(elem_id="verdict")
    kpis = sheet_box(elem_id="kpis")
    charts = sheet_box(js_on_load=CHARTS_JS, elem_id="charts")
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            with gr.Row():
                kept = gr.Dropdown(list(FILTERS), value="all", label="Show", min_width=140)
                order = gr.Dropdown(
                    [(words, key) for key, words in SORTS.items()], value="gain", label="Sort", min_width=140
                )
                page = gr.Number(1, label="Page", precision=0, minimum=1, min_width=80)
            table = sheet_box(js_on_load=ROWS_JS, elem_id="examples")
        with gr.Column(scale=6, min_width=320):
            sheet = sheet_box(elem_id="sheet")
    with gr.Accordion("Share this comparison", open=False, elem_id="share"):
        with gr.Row():
            reveal = gr.Radio(
                [(words, key) for key, words in REVEALED.items()], value="summaries", label="The link shows"
            )
            expires = gr.Radio(list(EXPIRES), value="90 days", label="It works for")
        publish = gr.Button("Publish", variant="primary", elem_id="publish")
        mine = gr.Dropdown([], label="Published from this browser", elem_id="my-links")
        link = gr.Textbox(
            label="Link: opens read-only, without an account", buttons=["copy"], elem_id="link", interactive=False
        )
        revoke = gr.Button("Revoke this link", visible=False, elem_id="revoke")
    foot = sheet_box()

    def open_comparison(run_id: str | None, keep: str, by: str) -> tuple[object, ...]:
        if run_id is None:
            return gr.Dropdown([], value=None), proof(tag("p", NONE_YET, class_="notice")), "", "", "", "", "", 1
        try:
            comparison = comparison_of(settings, run_id)
        except Refused as refusal:
            notice = proof(tag("p", escape(" ".join(map(str, refusal.problems))), class_="notice"))
            return gr.Dropdown([], value=None), notice, "", "", "", "", "", 1
        steps = [(checkpoint.label, checkpoint.step) for checkpoint in comparison.checkpoints]
        return (
            gr.Dropdown(steps, value=comparison.chosen),
            proof(tag("p", tag("strong", escape(comparison.title)), class_="mast") + verdict_html(comparison)),
            *_at_step(comparison, comparison.chosen),
            *_examples(comparison, comparison.chosen, keep, by, 1),
            proof(signature_html(comparison)),
            1,
        )

    def move(run_id: str | None, at: int | None, keep: str, by: str, number: float) -> tuple[str, ...]:
        with as_messages("Cannot be shown"):
            comparison = comparison_of(settings, run_id)
        chosen = comparison.chosen if at is None else at
        return (*_at_step(comparison, chosen), *_examples(comparison, chosen, keep, by, int(number or 1)))

    def filtered(run_id: str | None, at: int | None, keep: str, by: str, number: float) -> tuple[str, ...]:
        return move(run_id, at, keep, by, number)[2:]

    def open_row(run_id: str | None, at: int, event: gr.EventData) -> str:
        with as_messages("Cannot be shown"):
            comparison = comparison_of(settings, run_id)
        return proof(sheet_html(comparison.rows[int(event._data["row"])], at))

    def pick_step(event: gr.EventData) -> int:
        return int(event._data["step"])

    def share(run_id: str | None, shows: str, lasts: str, key: str, known: Links) -> tuple[Links, gr.Dropdown]:
        with as_messages("Not published"):
            comparison = comparison_of(settings, run_id)
            published = settings.snapshots.publish(comparison, shows, key, EXPIRES[lasts])
        words = f"{comparison.title} · {REVEALED[shows]} · {date.today().isoformat()}"
        known = [[words, published], *known]
        return known, gr.Dropdown(_pairs(known), value=published)

    def take_back(snapshot_id: str, key: str, known: Links) -> tuple[Links, gr.Dropdown]:
        with as_messages("Not revoked"):
            settings.snapshots.revoke(snapshot_id, key)
        gr.Success("Nobody can open the link any more.", title="Revoked")
        known = [one for one in known if one[1] != snapshot_id]
        return known, gr.Dropdown(_pairs(known), value=None)

    def arrive(key: str, watched: str | None, shown: str | None, published: Links) -> tuple[gr.Dropdown, gr.Dropdown]:
        choices = run_choices(settings, key)
        known = [value for _, value in choices]
        chosen = next((value for value in (watched, shown) if value in known), known[0] if known else None)
        return gr.Dropdown(choices, value=chosen), gr.Dropdown(_pairs(published))

    asked, everything = [run, kept, order], [step, top, kpis, charts, table, sheet, foot, page]
    tab.select(arrive, [owner, current, run, links], [run, mine], **QUIET).then(
        open_comparison, asked, everything, **QUIET
    )
    view = [run, step, kept, order, page]
    gr.on([run.input, renew.click], open_comparison, asked, everything, **LATEST)
    step.input(move, view, [kpis, charts, table, sheet], **LATEST)
    charts.select(pick_step, None, step, **EACH).then(move, view, [kpis, charts, table, sheet], **QUIET)
    for widget in (kept, order):
        widget.input(lambda: 1, None, page, **LATEST).then(filtered, view, [table, sheet], **QUIET)
    page.input(filtered, view, [table, sheet], **LATEST)
    table.select(open_row, [run, step], sheet, **EACH)
    publish.click(share, [run, reveal, expires, owner, links], [links, mine], **QUIET)
    revoke.click(take_back, [mine, owner, links], [links, mine], **QUIET)
    mine.change(None, mine, link, js=LINK_JS, **QUIET)
    mine.change(lambda chosen: gr.Button(visible=bool(chosen)), mine, revoke, **QUIET)


def _pairs(links: Links) -> list[tuple[str, str]]:
    return [(words, snapshot_id) for words, snapshot_id in links]


def run_choices(settings: Settings, owner: str) -> list[tuple[str, str]]:
    """The recorded comparison, and the owner's runs that have been measured."""
    fixed = [("Recorded: our sample chats", RECORDED)] if settings.recorded() else []
    return [*((run.record.name, run.id) for run in list_runs(settings.runs, owner) if 0 in run.measured()), *fixed]


def comparison_of(settings: Settings, run_id: str | None) -> Comparison:
    """The comparison of a run's reports as they are now. Raises RunRefused or ComparisonRefused."""
    if run_id == RECORDED and (recorded := settings.recorded()):
        return recorded
    run = open_run(settings.runs, run_id or "")
    return _compared(settings, run.id, tuple(run.measured()))


@lru_cache(maxsize=8)
def _compared(settings: Settings, run_id: str, steps: tuple[int, ...]) -> Comparison:
    """Reports never change once written, so a run and the steps measured name one comparison."""
    return compare_run(open_run(settings.runs, run_id))


def _at_step(comparison: Comparison, step: int) -> tuple[str, str]:
    return proof(kpis_html(comparison, step)), proof(charts_html(comparison, step))


def _examples(comparison: Comparison, step: int, kept: str, order: str, page: int) -> tuple[str, str]:
    """One page of the table, and the sheet of its first row."""
    numbers = choose_rows(comparison, step, kept, order)
    last = max(1, -(-len(numbers) // PER_PAGE))
    start = (min(max(page, 1), last) - 1) * PER_PAGE
    shown = numbers[start : start + PER_PAGE]
    chosen = shown[0] if shown else None
    table = table_html(comparison, step, shown, -1 if chosen is None else chosen, lambda at: f"#row-{at}")
    pages = tag("p", f"{len(numbers)} chats, page {start // PER_PAGE + 1} of {last}", class_="quiet")
    return proof(table + pages), proof("" if chosen is None else sheet_html(comparison.rows[chosen], step))
