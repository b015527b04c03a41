"""How fast the Compare tab is with 1,000 test chats and 20 checkpoints, in Chromium: `python -m benchmarks.compare_screen`.

Prints milliseconds: from the click on the tab until figures, drawn curves, table and sheet stand (the first time, when
nothing has been read yet, and again), and from a click until a row's sheet, a checkpoint's figures or a page of the table stand.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from dialogues.dialogue import Dataset, Example
from evaluation.measure import measure
from evaluation.report import Report
from prompting.catalog import DEFAULT
from prompting.model import Decoding
from tests.conftest import Scripted, make_example
from tests.test_browser import CHROMIUM, FLAGS, App
from tuning.plan import Plan
from tuning.runs import create

CHATS, CHECKPOINTS, TIMES = 1000, 20, 15
# Waits until `look` is true after `act`, measured by the browser itself, to the frame that shows it.
TIMED = """
async ([act, look]) => {
  const start = performance.now(), before = eval(look.before);
  eval(act);
  while (!eval(look.after)) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}
"""
STANDS = "document.querySelector('#kpis .kpi') && document.querySelector('#charts svg') && document.querySelector('#sheet .sheet') && document.querySelector('#examples tr[data-pick]')"


def reports(dataset: Dataset) -> list[Report]:
    """Twenty reports on the same chats: each later one takes more of its summaries from the faithful model."""
    test = dataset.splits["test"]
    wrong = {one.dialogue.text: f"Zelda wants {one.facts['item']} money back, $999.99." for one in test}
    right = {one.dialogue.text: one.references[0] for one in test}
    first, last = (measure(_Quick(script, test), dataset, "test", DEFAULT, Decoding()) for script in (wrong, right))
    rng, found = random.Random(0), []
    for at in range(CHECKPOINTS):
        pairs = zip(first.results, last.results, strict=True)
        mixed = tuple(new if rng.random() * CHECKPOINTS < at else old for old, new in pairs)
        found.append(Report("run", 100 * at, first.signature, mixed))
    return found


class _Quick(Scripted):
    """Answers by place, not by search: a thousand chats in a thousand prompts would take a minute."""

    def __init__(self, script: dict[str, str], examples: tuple[Example, ...]) -> None:
        super().__init__("scripted", script)
        self.order = [one.dialogue.text for one in examples]

    def summarize(self, prompts, decoding, progress=None):  # type: ignore[no-untyped-def]
        from prompting.model import Summary

        return [Summary(self.script[text], 100, 9, False, False) for text in self.order]


def fill(home: Path, owner: str) -> None:
    """A run of this owner with everything measured, as the app finds it on disk."""
    chats = tuple(make_example(number) for number in range(CHATS))
    dataset = Dataset("a thousand chats", {"train": chats[:1], "validation": chats[:1], "test": chats})
    plan = Plan("bundled", "full", "quick", DEFAULT.name, 1900, 8, 1e-3, 512, "fp32", 1)
    run = create(home / "runs", plan, dataset, "A thousand chats", owner)
    for report in reports(dataset):
        run.save_report(report.to_json())


def clicks(page: Page) -> dict[str, list[float]]:
    rows = {
        "before": "document.querySelector('#sheet h3 + span').textContent",
        "after": "document.querySelector('#sheet h3 + span').textContent !== before",
    }
    bars = {
        "before": "document.querySelector('#kpis').innerHTML",
        "after": "document.querySelector('#kpis').innerHTML !== before",
    }
    pages = {
        "before": "document.querySelector('#examples').innerHTML",
        "after": "document.querySelector('#examples').innerHTML !== before",
    }
    found: dict[str, list[float]] = {"row": [], "checkpoint": [], "page": []}
    for at in range(TIMES):
        page.wait_for_timeout(600)  # what an earlier click still draws is not this one's
        row = f"document.querySelectorAll('#examples tr[data-pick]')[{at + 1}].click()"
        found["row"].append(page.evaluate(TIMED, [row, rows]))
        page.wait_for_timeout(600)
        point = f"document.querySelector('#charts .chart').dispatchEvent(new CustomEvent('pick', {{bubbles: true, detail: {{step: {100 * at}}}}}))"
        found["checkpoint"].append(page.evaluate(TIMED, [point, bars]))
        page.wait_for_timeout(600)
        turn = f"(() => {{ const at = document.querySelector('#page input'); at.value = {at % 2 + 2}; at.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
        found["page"].append(page.evaluate(TIMED, [turn, pages]))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = App(Path(folder))
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(app.url)
            page.get_by_role("tab", name="Compare", exact=True).first.click()
            page.get_by_text("Share this comparison").click()
            page.wait_for_function("document.querySelector('#key input')?.value.length === 32")
            fill(Path(folder), page.locator("#key input").input_value())
            tab = "[...document.querySelectorAll('button[role=tab]')].find((one) => one.textContent.trim() === 'Compare').click()"
            for times in ("first time", "again"):
                page.goto(app.url)
                page.locator("#prompt-sheet .summary").first.wait_for()
                page.wait_for_timeout(10_000)  # the page's own start-up is not what is measured
                look = {
                    "before": "0",
                    "after": f"{STANDS} && document.querySelector('#verdict').textContent.includes('A thousand chats')",
                }
                print(f"first view, {times}: {page.evaluate(TIMED, [tab, look]):.0f} ms")
            page.locator("#charts .main-svg").first.wait_for()
            for name, times in clicks(page).items():
                print(f"{name}: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms")
        finally:
            app.kill()


if __name__ == "__main__":
    main()
