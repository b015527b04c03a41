"""The Compare tab: the verdict, its figures and curves, the examples behind them, and the link that carries it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape

import gradio as gr

from dialogues.dialogue import Refused
from evaluation.comparison import Comparison
from evaluation.several import MOST, beside
from sharing.breakdown import slices_html
from sharing.sheet import (
    FILTERS,
    PER_PAGE,
    SORTS,
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
from ui import blind_panel, share_panel
from ui.compared import comparison_of, run_choices
from ui.look import EACH, LATEST, QUIET, proof, sheet_box
from ui.refusals import as_messages
from ui.settings import RECORDED, Settings

NONE_YET = (
    "No run is chosen. Start a run under Tune if there is none yet: its first figures stand here a few minutes later."
)
# A row answers to click, Enter and the arrow keys; the mark moves at once. The sheet follows, for a key that is held
# down not at every row but where it rests: each would be a request, and what is asked for later would wait for them all.
ROWS_JS = """
let asked = 0, waiting;
const show = (row) => {
  clearTimeout(waiting);
  const rest = asked + 150 - performance.now();
  asked = performance.now();
  if (rest > 0) waiting = setTimeout(() => trigger('select', { row }), 150);
  else trigger('select', { row });
};
const pick = (row) => {
  element.querySelectorAll('[aria-selected=true]').forEach((other) => { other.setAttribute('aria-selected', 'false'); other.tabIndex = -1; });
  row.setAttribute('aria-selected', 'true'); row.tabIndex = 0; row.focus({ preventScroll: false });
  show(Number(row.dataset.pick));
};
element.addEventListener('click', (event) => {
  const row = event.target.closest('[data-pick]');
  if (row) { event.preventDefault(); pick(row); }
});
element.addEventListener('keydown', (event) => {
  const row = event.target.closest('[data-pick]'), rows = row?.parentElement;
  const next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Enter: row,
    Home: rows?.firstElementChild, End: rows?.lastElementChild }[event.key];
  if (next) { event.preventDefault(); pick(next); }
});
"""
CHARTS_JS = "element.addEventListener('pick', (event) => trigger('select', { step: event.detail.step }));"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chooses from: the runs, a checkpoint, and which examples in which order."""

    run: gr.Dropdown
    step: gr.Dropdown
    renew: gr.Button
    kept: gr.Dropdown
    order: gr.Dropdown
    page: gr.Number

    @property
    def view(self) -> list[gr.components.Component]:
        return [self.run, self.step, self.kept, self.order, self.page]


@dataclass(frozen=True, slots=True)
class Boxes:
    """What is shown, from top to bottom."""

    top: gr.HTML
    kpis: gr.HTML
    charts: gr.HTML
    table: gr.HTML
    sheet: gr.HTML
    slices: gr.HTML
    fold: gr.Accordion
    foot: gr.HTML


def build(
    settings: Settings, owner: gr.BrowserState, links: gr.BrowserState, tab: gr.Tab, current: gr.Dropdown
) -> None:
    """Lay the tab out and wire it; opening `tab` offers the owner's runs and shows the `current` one if it can."""
    choices, boxes = _layout()
    blind_panel.build(settings, owner, choices.run, choices.step, partial(comparison_of, settings))
    mine = share_panel.build(settings, owner, links, choices.run, partial(comparison_of, settings))
    opened = [
        choices.step,
        boxes.top,
        boxes.kpis,
        boxes.charts,
        boxes.table,
        boxes.sheet,
        choices.order,
        boxes.foot,
        choices.page,
    ]
    _wire_opening(settings, owner, links, tab, current, choices, mine, opened)
    _wire_views(settings, choices, boxes)


def _layout() -> tuple[Choices, Boxes]:
    with gr.Row(equal_height=True):
        run = gr.Dropdown(
            [("Recorded: our sample chats", RECORDED)],
            value=[RECORDED],
            label="Runs: one, or several side by side",
            elem_id="compare-run",
            multiselect=True,
            max_choices=MOST,
            scale=3,
            min_width=260,
        )
        step = gr.Dropdown([], label="Checkpoint", elem_id="compare-step", scale=2, min_width=220)
        renew = gr.Button("Look again", scale=1, min_width=120, elem_classes="beside")
    top, kpis = sheet_box(elem_id="verdict"), sheet_box(elem_id="kpis")
    charts = sheet_box(js_on_load=CHARTS_JS, elem_id="charts")
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            with gr.Row():
                kept = gr.Dropdown(list(FILTERS), value="all", label="Show", min_width=140)
                order = gr.Dropdown(_orders(SORTS), value="gain", label="Sort", min_width=140, elem_id="sort")
                page = gr.Number(1, label="Page", precision=0, minimum=1, min_width=80, elem_id="page")
            table = sheet_box(js_on_load=ROWS_JS, elem_id="examples")
        with gr.Column(scale=6, min_width=320):
            sheet = sheet_box(elem_id="sheet")
    with gr.Accordion("Slices by length, turns and topic", open=False, elem_id="slices") as fold:
        slices = sheet_box()
    foot = sheet_box()
    return Choices(run, step, renew, kept, order, page), Boxes(top, kpis, charts, table, sheet, slices, fold, foot)


def _wire_opening(
    settings: Settings,
    owner: gr.BrowserState,
    links: gr.BrowserState,
    tab: gr.Tab,
    current: gr.Dropdown,
    choices: Choices,
    mine: gr.Dropdown,
    opened: list[gr.components.Component],
) -> None:
    def open_comparison(run_ids: list[str], keep: str, by: str) -> tuple[object, ...]:
        try:
            return _opened(comparison_of(settings, run_ids), keep, by) if run_ids else _nothing(NONE_YET)
        except Refused as refusal:
            return _nothing(" ".join(map(str, refusal.problems)))

    def arrive(
        key: str, watched: str | None, shown: list[str], published: share_panel.Links
    ) -> tuple[gr.Dropdown, gr.Dropdown]:
        offered = run_choices(settings, key)
        known = [value for _, value in offered]
        kept = [value for value in shown if value in known]
        chosen = [watched] if watched in known and watched not in kept else kept or known[:1]
        return gr.Dropdown(offered, value=chosen, multiselect=True), gr.Dropdown(share_panel.pairs(published))

    asked = [choices.run, choices.kept, choices.order]
    # On a slow page the tab may be open before the key is there. Nothing but the choices: another may have been made.
    owner.change(lambda key: gr.Dropdown(run_choices(settings, key)), owner, choices.run, **LATEST)
    tab.select(arrive, [owner, current, choices.run, links], [choices.run, mine], **QUIET).then(
        open_comparison, asked, opened, **QUIET
    )
    gr.on([choices.run.input, choices.renew.click], open_comparison, asked, opened, **LATEST)


def _wire_views(settings: Settings, choices: Choices, boxes: Boxes) -> None:
    def move(run_ids: list[str], at: int | None, keep: str, by: str, number: float) -> tuple[str, ...]:
        with as_messages("Cannot be shown"):
            comparison = comparison_of(settings, run_ids)
        chosen = comparison.chosen if at is None else at
        return (*_at_step(comparison, chosen), *_examples(comparison, chosen, keep, by, int(number or 1)))

    def filtered(run_ids: list[str], at: int | None, keep: str, by: str, number: float) -> tuple[str, ...]:
        return move(run_ids, at, keep, by, number)[2:]

    def open_row(run_ids: list[str], at: int, event: gr.EventData) -> str:
        with as_messages("Cannot be shown"):
            comparison = comparison_of(settings, run_ids)
        return proof(sheet_html(comparison.rows[int(event._data["row"])], *beside(comparison, at)))

    def cut(run_ids: list[str], at: int | None) -> str:
        with as_messages("Cannot be shown"):
            comparison = comparison_of(settings, run_ids)
        found = slices_html(comparison, comparison.chosen if at is None else at)
        return proof(
            found or tag("p", "Zero-shot itself, or one chat of a kind: nothing to set apart.", class_="quiet")
        )

    def pick_step(event: gr.EventData) -> int:
        return int(event._data["step"])

    view, moved = choices.view, [boxes.kpis, boxes.charts, boxes.table, boxes.sheet]
    choices.step.input(move, view, moved, **LATEST)
    boxes.charts.select(pick_step, None, choices.step, **EACH).then(move, view, moved, **QUIET)
    for widget in (choices.kept, choices.order):
        widget.input(lambda: 1, None, choices.page, **LATEST).then(filtered, view, [boxes.table, boxes.sheet], **QUIET)
    choices.page.input(filtered, view, [boxes.table, boxes.sheet], **LATEST)
    boxes.table.select(open_row, [choices.run, choices.step], boxes.sheet, **EACH)
    boxes.fold.expand(cut, [choices.run, choices.step], boxes.slices, **QUIET)
    gr.on([choices.run.change, choices.step.change], lambda: gr.Accordion(open=False), None, boxes.fold, **QUIET)


def _opened(comparison: Comparison, keep: str, by: str) -> tuple[object, ...]:
    steps, orders = [(at.label, at.step) for at in comparison.checkpoints], sorts(comparison)
    by = by if by in orders else "gain"
    return (
        gr.Dropdown(steps, value=comparison.chosen),
        proof(tag("p", tag("strong", escape(comparison.title)), class_="mast") + verdict_html(comparison)),
        *_at_step(comparison, comparison.chosen),
        *_examples(comparison, comparison.chosen, keep, by, 1),
        gr.Dropdown(_orders(orders), value=by),
        proof(signature_html(comparison)),
        1,
    )


def _nothing(words: str) -> tuple[object, ...]:
    notice = proof(tag("p", escape(words), class_="notice"))
    return gr.Dropdown([], value=None), notice, "", "", "", "", gr.Dropdown(), "", 1


def _orders(orders: dict[str, str]) -> list[tuple[str, str]]:
    return [(words, key) for key, words in orders.items()]


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
    return proof(table + pages), proof(
        "" if chosen is None else sheet_html(comparison.rows[chosen], *beside(comparison, step))
    )
