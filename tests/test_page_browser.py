"""The published page as strangers meet it, in Chromium: on a phone, on paper, offline, without script, behind a proxy, under attack."""

import io
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import make_example, script_reports
from pypdf import PdfReader
from test_browser import CHROMIUM, App, app, browser, page  # noqa: F401
from test_hostile_text import PAYLOADS, poisoned

from dialogues.dialogue import Dataset, Dialogue, Example, Turn
from evaluation.comparison import compare
from evaluation.report import Report
from prompting.catalog import DEFAULT
from sharing.link import numbers_token, signing_key
from sharing.snapshot import Snapshots
from tuning.plan import Plan
from tuning.runs import create

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
KEY = "ada's own key"
# Whatever runs says so; whatever could run is asked to: every element is pointed at, focused and left again.
ALARM = "window.hacked = 0; for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => { window.hacked += 1; };"
PROVOKE = """() => {
  for (const one of document.querySelectorAll('main *, .proof *')) {
    for (const name of ['mouseover', 'mouseenter', 'pointerenter', 'focus', 'focusin', 'blur', 'toggle', 'error', 'load'])
      one.dispatchEvent(new Event(name, { bubbles: true }));
    one.focus?.({ preventScroll: true });
  }
  const armed = [...document.querySelectorAll('.proof *, .proof')].filter((one) =>
    [...one.attributes].some((a) => /^on/i.test(a.name) || (/^(href|src|action|formaction|data)$/i.test(a.name) && /script:|data:/i.test(a.value)))
    || /^(SCRIPT|IFRAME|OBJECT|EMBED|BASE|LINK|META|IMG|VIDEO|AUDIO)$/i.test(one.tagName));
  return armed.length + window.hacked;
}"""

# The arrow key held down from the chosen row to the last one.
HELD = """() => {
  const marked = () => document.querySelector('#examples tr[aria-selected=true]');
  while (marked().nextElementSibling)
    marked().dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
}"""


@pytest.fixture(scope="module")
def published(app, comparison):  # noqa: F811
    return Snapshots(app.home / "published").publish(comparison, "chats", KEY, None)


@pytest.fixture(scope="module")
def hostile_chats():
    """One chat for each hostile text, with that text in every field."""

    def chat(number, text):
        known = make_example(number)
        turns = tuple(Turn(text, f"{text} {turn.text} {text}") for turn in known.dialogue.turns)
        dialogue = Dialogue(f"{number} {text}", turns)
        return Example(dialogue, tuple(f"{one} {text}" for one in known.references), f"{text} {number}", known.facts)

    chats = tuple(chat(number, text) for number, text in enumerate(PAYLOADS))
    return Dataset(" ".join(PAYLOADS), {"train": chats[:1], "validation": chats[:1], "test": chats})


@pytest.fixture(scope="module")
def hostile_reports(hostile_chats):
    """Both reports, every summary and every reason with the chat's own hostile text at both ends, and as the template."""
    reports = []
    for report in script_reports(hostile_chats):
        results = []
        for result, text in zip(report.results, PAYLOADS, strict=True):
            verdicts = poisoned([{"reason": one.reason, "kind": one.kind} for one in result.verdicts], text)
            marks = tuple(replace(one, **said) for one, said in zip(result.verdicts, verdicts, strict=True))
            results.append(replace(result, summary=f"{result.summary} {text}", verdicts=marks))
        signature = replace(report.signature, template=" ".join(PAYLOADS), model=PAYLOADS[0], decoding=PAYLOADS[1])
        reports.append(Report(report.run, report.step, signature, tuple(results)))
    return reports


@pytest.fixture(scope="module")
def hostile(hostile_chats, hostile_reports):
    return compare(hostile_reports, hostile_chats.splits["test"], " ".join(PAYLOADS))


def test_no_hostile_text_runs_on_the_published_page_whichever_chat_is_open(app, page, hostile):  # noqa: F811
    snapshot_id = Snapshots(app.home / "published").publish(hostile, "chats", KEY)
    page.add_init_script(ALARM)
    page.set_default_timeout(10_000)
    for row in range(len(PAYLOADS)):
        page.goto(f"{app.url}c/{snapshot_id}?row={row}", wait_until="domcontentloaded")
        assert page.evaluate(PROVOKE) == 0, PAYLOADS[row]
        if row == 100:  # the rest of two minutes' worth is read in the next minute
            page.wait_for_timeout(61_000)


def test_no_hostile_text_runs_behind_a_numbers_link(app, page, hostile):  # noqa: F811
    small = replace(hostile.numbers_only(), title=PAYLOADS[20], badges=tuple(PAYLOADS), verdict=PAYLOADS[21])
    small = replace(small, signature=replace(small.signature, template=PAYLOADS[0], data_name=PAYLOADS[40]))
    page.add_init_script(ALARM)
    for key in (signing_key(app.home), "somebody else's key"):
        page.goto(f"{app.url}?numbers={numbers_token(small, key)}")
        page.locator(".kpis").wait_for()
        assert page.evaluate(PROVOKE) == 0


def test_no_hostile_text_runs_in_the_downloaded_report(app, page, hostile, tmp_path):  # noqa: F811
    snapshot_id = Snapshots(app.home / "published").publish(hostile, "chats", KEY)
    page.add_init_script(ALARM)
    page.context.set_offline(True)
    page.goto(save(app, f"c/{snapshot_id}/report.html", tmp_path))
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.locator(".sheet").count() == len(PAYLOADS)
    assert page.evaluate(PROVOKE) == 0


def test_no_hostile_text_runs_in_the_app_s_compare_tab_and_its_preview(app, page, hostile_chats, hostile_reports):  # noqa: F811
    page.add_init_script(ALARM)
    key = own_key(page, app)
    plan = Plan("bundled", "full", "quick", DEFAULT.name, 200, 4, 1e-3, 512, "fp32", 1)
    run = create(app.home / "runs", plan, hostile_chats, PAYLOADS[20], key)
    for report in hostile_reports:
        run.save_report(report.to_json())
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "run/predict" in request.url else None)
    for number in (1, 2, 3):  # every chat is tried on the published page, above
        page.goto(
            f"{app.url}?tab=compare&run={run.id}"
        )  # anew, for provoking all that stands there plays with its filters too
        page.locator("#verdict .mast").get_by_text(PAYLOADS[20]).wait_for()
        page.get_by_text("chats, page 1 of 3").wait_for()
        page.get_by_label("Page", exact=True).fill(str(number))
        page.get_by_text(f"chats, page {number} of 3").wait_for()
        asked.clear()
        page.evaluate(HELD)
        shown = page.locator("#examples tr[aria-selected=true] td.id").get_attribute("title")
        page.wait_for_function("(id) => document.querySelector('#sheet header').textContent.includes(id)", arg=shown)
        assert len(asked) <= 2  # a key that is held down asks for the row where it rests, not for each on the way
        assert page.evaluate(PROVOKE) == 0
    page.get_by_text("Slices by length, turns and topic").click()
    page.locator("#slices table").wait_for()
    page.get_by_text("Share this comparison").click()
    page.get_by_label("Numbers, summaries and chats").check()
    page.locator("#preview").get_by_text("Preview: numbers, summaries and chats").wait_for()
    assert page.evaluate(PROVOKE) == 0
    page.get_by_role("tab", name="Tune", exact=True).first.click()
    page.locator("#run-state").wait_for()
    assert page.evaluate(PROVOKE) == 0


def own_key(page, app):  # noqa: F811
    """The key that this browser was given, from where the screen shows it."""
    page.goto(app.url)
    page.get_by_role("tab", name="Compare", exact=True).first.click()
    page.get_by_text("Share this comparison").click()
    page.wait_for_function("document.querySelector('#key input')?.value.length === 32")
    return page.locator("#key input").input_value()


def save(app, address, folder):  # noqa: F811
    """The file behind an address of the app, on disk; its file:// address."""
    path = folder / "report.html"
    path.write_bytes(urllib.request.urlopen(app.url + address).read())
    return path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_phone_shows_all_of_the_page_with_and_without_script(app, browser, published, scheme, scripts):  # noqa: F811
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme=scheme, java_script_enabled=scripts
    )
    phone = context.new_page()
    said = []
    phone.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    assert phone.goto(f"{app.url}?compare={published}").status == 200
    phone.locator(".chart svg text", has_text="ROUGE-L").first.wait_for()
    if scripts:
        phone.locator(".chart .main-svg").first.wait_for()
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.locator("select[name=step]").select_option("0")
    phone.get_by_role("button", name="Show").click()
    phone.wait_for_url("**step=0**")
    assert "Tuned, step" not in phone.locator("#sheet").inner_text()
    assert not said  # neither a policy that was broken nor anything that failed to load
    context.close()


def test_a_point_on_a_curve_leads_to_its_checkpoint_and_arrows_move_along_the_rows(app, page, published):  # noqa: F811
    page.goto(f"{app.url}c/{published}?step=200")
    page.locator(".chart .main-svg").first.wait_for()
    page.evaluate("""document.querySelector('.chart').dispatchEvent(
        new CustomEvent('pick', { bubbles: true, detail: { step: 0 } }))""")
    page.wait_for_url("**step=0**")
    page.locator("tr[aria-selected=true]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**row=**")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_holds_verdict_figures_curves_and_the_chat_in_dark_ink_whoever_prints(app, page, published, scheme):  # noqa: F811
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{app.url}c/{published}")
    page.locator(".chart .main-svg").first.wait_for()
    pages = PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    text = " ".join(" ".join(one.extract_text() for one in pages).split())
    for said in (
        "Checkpoint 200 beats zero-shot",
        "ROUGE-L",
        "LEAD-3",
        "Measured with",
        "Unsupported facts by checkpoint",
    ):
        assert said in text
    assert "By number of turns" in text and "Checkpoint ROUGE-L Unsupported" in text
    assert "JSON" not in text and len(pages) <= 4
    page.emulate_media(media="print", color_scheme=scheme)
    assert page.locator(".verdict").evaluate("(one) => getComputedStyle(one).color") == "rgb(18, 38, 42)"
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 between Chromium's margins
    assert all(page.locator(".examples").evaluate_all("(all) => all.map((one) => one.scrollWidth <= one.clientWidth)"))


def test_the_downloaded_report_opens_from_disk_with_the_network_off(app, page, published, comparison, tmp_path):  # noqa: F811
    page.context.set_offline(True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(save(app, f"c/{published}/report.html", tmp_path))
    assert page.locator(".verdict").inner_text() == comparison.verdict
    assert page.locator(".chart svg").count() == 2 and page.locator(".chart svg").first.bounding_box()["height"] > 100
    page.locator("details.example summary").last.click()
    mark = page.locator("details[open] .mark[data-turn]").first
    mark.hover()
    turn = int(mark.get_attribute("data-turn")) + 1
    lit = page.locator(f"details[open] .turns li:nth-child({turn})")
    assert lit.evaluate("(one) => getComputedStyle(one).backgroundColor") != "rgba(0, 0, 0, 0)"
    assert len(asked) == 1


class Prefix(BaseHTTPRequestHandler):
    """A proxy that puts the app under /team and takes that off again before it asks."""

    target = ""

    def do_GET(self):
        if not self.path.startswith("/team/"):
            return self.send_error(404)
        asked = urllib.request.Request(
            self.target + self.path.removeprefix("/team/"), headers={"Host": self.headers["Host"]}
        )
        try:
            answer = urllib.request.build_opener(Stay).open(asked)
        except urllib.error.HTTPError as error:
            answer = error
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())

    def log_message(self, *words):
        pass


class Stay(urllib.request.HTTPRedirectHandler):
    """Hands a redirect on to the browser instead of following it."""

    def redirect_request(self, *_):
        return None


def test_behind_a_proxy_s_prefix_app_page_and_links_all_stay_under_it(app, page, published):  # noqa: F811
    Prefix.target = app.url
    with ThreadingHTTPServer(("127.0.0.1", 0), Prefix) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{proxy.server_port}/team/"
        failed = []
        page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
        page.goto(f"{root}?compare={published}")
        assert page.url == f"{root}c/{published}"
        page.locator(".chart .main-svg").first.wait_for()
        page.get_by_role("link", name="JSON").wait_for()
        assert page.locator("nav.files a").last.evaluate("(one) => one.href").startswith(f"{root}c/{published}/")
        assert not failed
        page.goto(root, wait_until="domcontentloaded")
        script = page.locator("script[src$='proof/page.js']").first
        script.wait_for(state="attached")
        assert script.evaluate("(one) => one.src") == f"{root}proof/page.js"
        proxy.shutdown()
