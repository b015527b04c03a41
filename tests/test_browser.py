"""The whole path as a visitor walks it, in Chromium: upload, tune, reload, restart, compare, share."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from dialogues.dialogue import read_examples
from tuning.runs import Run

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
TRAINED = 300_000  # milliseconds that the smallest run may take on a slow machine

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


class App:
    """The real app in a process of its own, which can be killed and started again over the same folder."""

    def __init__(self, home):
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self):
        environment = {
            **os.environ,
            "TUNEPROOF_HOME": str(self.home),
            "GRADIO_SERVER_PORT": str(self.port),
            "HF_HUB_OFFLINE": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                return urllib.request.urlopen(self.url, timeout=5).close()
            except OSError:
                time.sleep(0.3)
        raise TimeoutError("the app did not start")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def run(self, run_id):
        return Run(self.home / "runs" / run_id)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    app = App(tmp_path_factory.mktemp("home"))
    yield app
    app.kill()
    for process in psutil.process_iter(["cmdline"]):
        if str(app.home) in " ".join(process.info["cmdline"] or []):
            process.kill()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request",
        lambda request: (
            page.problems.append(request.url)
            if "127.0.0.1" not in request.url and request.url.startswith("http")
            else None
        ),
    )
    yield page
    context.close()


@pytest.fixture(scope="module")
def upload(tmp_path_factory):
    """Sixty of our chats as somebody might export them, with three rows that cannot be used."""
    examples = read_examples(ROOT / "assets" / "chats" / "train.jsonl")[::8][:60]
    rows = [{"Chat": e.dialogue.text, "Summaries": list(e.references)} for e in examples]
    lines = [
        json.dumps(row)
        for row in [*rows, {"Chat": "Hello", "Summaries": "One turn."}, {"Chat": rows[0]["Chat"], "Summaries": ""}]
    ]
    path = tmp_path_factory.mktemp("uploads") / "our chats.jsonl"
    path.write_text("\n".join([*lines, "{broken"]), encoding="utf-8")
    return path


def open_tab(page, url, name):
    page.goto(url)
    page.get_by_role("tab", name=name, exact=True).first.click()


def start_run(page, app, upload, name):
    """Upload, name and start the smallest run; the id that the address then shows."""
    open_tab(page, app.url, "Tune")
    page.get_by_label("My own chats").check()
    page.set_input_files("#upload input[type=file]", str(upload))
    page.locator("#read").get_by_text("3 rows were refused").wait_for()
    page.get_by_label("Name of the run").fill(name)
    page.locator("#start").click()
    page.wait_for_url(re.compile(r"run=[0-9a-f]{32}"))
    return re.search(r"run=([0-9a-f]{32})", page.url)[1]


def test_the_whole_path_from_upload_to_a_link_that_outlives_the_app(app, browser, page, upload):
    run_id = start_run(page, app, upload, "Spring team")
    state = page.locator("#run-state")
    state.get_by_text(re.compile(r"step [1-9]\d* of")).wait_for(timeout=TRAINED)

    page.reload()  # mid-run: the address shows the same run, still going
    state.get_by_text("Spring team").wait_for()
    app.kill()  # so does a new app over the same folder
    assert app.run(run_id).alive("train")
    app.start()
    page.goto(f"{app.url}?run={run_id}")
    state.get_by_text("Spring team").wait_for()
    page.locator("#run-loss .main-svg").first.wait_for(timeout=TRAINED)
    state.get_by_text("Finished").first.wait_for(timeout=TRAINED)
    steps = [checkpoint.step for checkpoint in app.run(run_id).checkpoints()]
    page.wait_for_function(
        f"document.querySelectorAll('#run-points tr').length === {len(steps) + 1} && "
        f"document.querySelector('#run-points').textContent.includes('{len(steps)} of {len(steps)} are measured')",
        timeout=TRAINED,
    )

    page.get_by_role("tab", name="Compare", exact=True).first.click()
    page.locator("#verdict").get_by_text(re.compile("zero-shot")).first.wait_for()
    assert page.locator("#kpis .kpi").count() == 4
    page.locator("#charts .main-svg").nth(2).wait_for()
    page.locator("#examples tr[data-pick]").nth(1).click()
    chosen = page.locator("#examples tr[aria-selected=true]").get_attribute("data-pick")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(f"document.querySelector('#examples tr[aria-selected=true]').dataset.pick !== '{chosen}'")
    for _ in range(3):
        page.keyboard.press("ArrowDown")  # faster than sheets come: the last row is the one that is shown
    shown = page.locator("#examples tr[aria-selected=true] td.id").get_attribute("title")
    page.locator("#sheet header").get_by_text(shown, exact=True).wait_for()
    assert page.locator("#sheet .turns li").count() >= 6

    page.get_by_text("Share this comparison").click()
    page.get_by_label("Numbers, summaries and chats").check()
    page.locator("#publish").click()
    link = page.locator("#link textarea, #link input")
    page.wait_for_function("document.querySelector('#link textarea, #link input').value.includes('compare=')")
    address, verdict = link.input_value(), page.locator("#verdict .verdict").inner_text()
    assert not page.problems

    app.kill()
    app.start()
    phone = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    phone.goto(address)
    assert phone.locator(".verdict").inner_text() == verdict
    phone.locator(".chart .main-svg").first.wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.locator("input, textarea, [contenteditable]").count() == 0
    phone.context.close()
    cut = browser.new_context().new_page()
    assert cut.goto(address[:-3]).status == 404
    assert "copied whole" in cut.locator("main").inner_text()
    cut.context.close()


def test_a_killed_training_is_shown_as_interrupted_and_never_as_running(app, page, upload):
    run_id = start_run(page, app, upload, "Doomed")
    page.locator("#run-state").get_by_text(re.compile(r"step [1-9]\d* of")).wait_for(timeout=TRAINED)
    app.run(run_id).process("train").kill()
    page.locator("#run-state").get_by_text("Interrupted").first.wait_for()
    page.reload()
    page.locator("#run-state").get_by_text("Interrupted").first.wait_for()
    page.locator("#resume").click()
    page.locator("#run-state").get_by_text("Running").first.wait_for(timeout=TRAINED)
    page.locator("#cancel").click()
    page.locator("#run-state").get_by_text("Cancelled").first.wait_for(timeout=TRAINED)


def test_a_run_can_be_cancelled_and_deleted_and_leaves_nothing(app, page, upload):
    run_id = start_run(page, app, upload, "Second thoughts")
    page.locator("#run-state").get_by_text(re.compile(r"step [1-9]\d* of")).wait_for(timeout=TRAINED)
    page.locator("#cancel").click()
    page.locator("#run-state").get_by_text("Cancelled").first.wait_for(timeout=TRAINED)
    page.locator("#delete:not([disabled])").click(timeout=TRAINED)
    page.locator("#delete-for-good").click()
    page.get_by_text("are deleted").wait_for()
    assert not app.run(run_id).folder.exists()


def test_another_browser_cannot_list_cancel_or_delete_a_run_it_was_not_given(app, browser, page, upload):
    run_id = start_run(page, app, upload, "Private")
    stranger = browser.new_context().new_page()
    open_tab(stranger, app.url, "Tune")
    stranger.locator("#run-state").get_by_text("No run yet").wait_for()
    stranger.goto(f"{app.url}?run={run_id}")
    stranger.locator("#run-state").get_by_text("Private").wait_for()
    stranger.locator("#cancel:not([disabled])").click()
    stranger.get_by_text("Only whoever started a run").wait_for()
    assert app.run(run_id).alive("train")
    stranger.context.close()
    page.locator("#cancel:not([disabled])").click()
    page.locator("#run-state").get_by_text("Cancelled").first.wait_for(timeout=TRAINED)


def test_a_visitor_sees_a_recorded_pair_at_once_and_a_live_summary_on_asking(app, page):
    page.goto(app.url)
    page.locator("#prompt-sheet").get_by_text("Tuned, step").wait_for(timeout=10_000)
    page.locator("#summarize").click()
    page.locator("#prompt-sheet").get_by_text(re.compile(r"\d+ tokens in, \d+ out")).wait_for(timeout=60_000)
    assert len(page.locator("#prompt-sheet .summary").first.inner_text()) > 20
    assert not page.problems


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "is empty"),
        ("columns.csv", b"question,reply\nhi,ho\n", "No column with the dialogue"),
        ("image.csv", bytes(range(256)) * 40, "No column|not text"),
    ],
)
def test_a_bad_file_gets_a_sentence_and_the_app_goes_on(app, page, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    open_tab(page, app.url, "Tune")
    page.get_by_label("My own chats").check()
    page.set_input_files("#upload input[type=file]", str(tmp_path / name))
    page.locator("#read").get_by_text(re.compile(says)).first.wait_for()
    page.locator("#start").click()
    page.get_by_text("There are no chats to tune on yet").wait_for()
    page.get_by_label("The sample support chats").check()
    page.locator("#read").get_by_text("500 train").wait_for()


def test_what_a_stranger_writes_is_never_run_on_any_screen(app, page, tmp_path):
    payload = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    rows = [
        {"dialogue": f"{payload}: {payload} {n}\nAgent: {payload}", "summary": payload, "id": payload, "topic": payload}
        for n in range(40)
    ]
    path = tmp_path / "x'\"<b>.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + f"\n{payload}")
    open_tab(page, app.url, "Tune")
    page.get_by_label("My own chats").check()
    page.set_input_files("#upload input[type=file]", str(path))
    page.locator("#read").get_by_text("refused or left out").wait_for()
    page.get_by_role("tab", name="Prompt", exact=True).first.click()
    page.get_by_label("Chat, one turn a line").fill(f"Ann: {payload}\nBob: {payload}")
    page.locator("#summarize").click()
    page.locator("#prompt-sheet").get_by_text(re.compile(r"\d+ tokens in")).wait_for(timeout=60_000)
    assert page.evaluate("window.hacked") is None
