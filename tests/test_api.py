"""What a program can rely on: every documented example runs, and refusals are sentences."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import script_reports
from gradio_client import Client
from gradio_client.exceptions import AppError

from prompting.catalog import DEFAULT
from sharing.__main__ import main
from sharing.desk import Desk
from sharing.link import read_token, signing_key
from sharing.snapshot import LinkRefused
from tuning.plan import Plan
from tuning.runs import create
from ui.house import build, launch_settings
from ui.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
KEY = "ada's own key"
EXAMPLES = dict(re.findall(r"## (\w[\w ]*)\n.*?```\w+\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.S))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(home, chats):
    plan = Plan("bundled", "full", "quick", DEFAULT.name, 200, 4, 1e-3, 512, "fp32", 1)
    run = create(home / "runs", plan, chats, "Spring team", KEY)
    for report in script_reports(chats):
        run.save_report(report.to_json())
    return run


@pytest.fixture(scope="module")
def url(home, run):
    settings = Settings(home, ROOT / "assets")
    demo = build(settings)
    _, address, _ = demo.launch(prevent_thread_lock=True, quiet=True, **launch_settings(settings))
    yield address.rstrip("/")
    demo.close()


def test_the_documented_python_example_runs(url, run):
    said = {"url": url, "key": KEY}
    exec(EXAMPLES["Python"], said)  # our own documentation
    assert said["run_id"] == run.id and said["steps"] == [0, 200] and said["report"]["step"] == 200
    assert said["snapshot"]["comparison"]["verdict"].startswith("Checkpoint 200 beats")
    assert said["snapshot"]["schema"] == 2 and said["figures"]["query"].startswith("?numbers=1.")
    with pytest.raises(AppError, match="does not lead to a comparison"):
        said["app"].predict(snapshot_id=said["page"]["id"], api_name="/fetch_snapshot")


@pytest.mark.skipif(find_spec("mcp") is None, reason="the mcp extra is not installed (requirements-mcp.txt)")
def test_the_documented_mcp_example_runs(url, run):
    said = {"url": url, "key": KEY}
    exec(EXAMPLES["MCP"], said)  # our own documentation
    assert run.id in said["answer"].content[0].text


def shell(text, **variables):
    asked = ["bash", "-euc", text]
    python = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **python, **variables})


def test_the_documented_http_example_runs(url, run):
    found = shell(EXAMPLES["HTTP"], URL=url, KEY=KEY)
    assert run.id in found.stdout, found.stderr


def test_the_documented_command_lines_run(home, run):
    found = shell(EXAMPLES["Command line"], HOME_FOLDER=str(home), KEY=KEY, RUN=run.id)
    assert found.returncode == 0, found.stderr
    runs, report, page, figures = map(json.loads, found.stdout.splitlines())
    assert runs[0]["name"] == "Spring team" and report["step"] == 0
    assert read_token(figures["token"], signing_key(home)).issued_here
    assert json.loads(shell(f"python -m sharing --home '{home}' fetch {page['id']}").stdout)["reveal"] == "summaries"
    assert json.loads(shell(f'python -m sharing --home "{home}" revoke {page["id"]} --key "{KEY}"').stdout)["revoked"]
    gone = shell(f"python -m sharing --home '{home}' fetch {page['id']}")
    assert gone.returncode == 1 and "does not lead to a comparison" in gone.stderr and "Traceback" not in gone.stderr


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("get_report", {"run_id": "../..", "step": 0}, "no such run"),
        ("get_report", {"run_id": None, "step": 7}, "has no report"),
        ("publish", {"run_id": None, "reveal": "everything", "days": 3, "key": KEY}, "not something a link can show"),
        ("publish", {"run_id": None, "reveal": "chats", "days": -3, "key": KEY}, "cannot last"),
        ("publish", {"run_id": None, "reveal": "chats", "days": 3, "key": ""}, "key"),
        ("publish", {"run_id": "0" * 32, "reveal": "chats", "days": 3, "key": KEY}, "no such run"),
        ("revoke", {"snapshot_id": "0" * 32, "key": KEY}, "does not lead"),
        ("fetch_snapshot", {"snapshot_id": "../signing.key"}, "does not lead"),
        ("numbers_link", {"run_id": ""}, "no such run"),
    ],
)
def test_a_refusal_is_a_sentence(url, run, name, asked, says):
    asked = {key: run.id if value is None else value for key, value in asked.items()}
    with pytest.raises(AppError, match=says):
        Client(url, verbose=False).predict(**asked, api_name=f"/{name}")


@pytest.mark.parametrize("named", ["{0},{0}", "{0}," * 500 + "{0}"])
def test_too_many_runs_or_one_twice_are_refused_before_any_is_read(home, run, named):
    with pytest.raises(LinkRefused, match="each once"):
        Desk(home).numbers_link(named.format(run.id))


def test_nobody_else_s_key_lists_publishes_away_or_revokes(url, run):
    app = Client(url, verbose=False)
    assert app.predict(key="bob's", api_name="/list_runs") == [] == app.predict(key="", api_name="/list_runs")
    page = app.predict(run_id=run.id, reveal="numbers", days=0, key=KEY, api_name="/publish")
    with pytest.raises(AppError, match="does not lead"):
        app.predict(snapshot_id=page["id"], key="bob's", api_name="/revoke")
    assert app.predict(snapshot_id=page["id"], api_name="/fetch_snapshot")["expires"] is None


def test_only_the_documented_endpoints_are_offered_by_name(url):
    named = {one.lstrip("/") for one in Client(url, verbose=False).view_api(return_format="dict")["named_endpoints"]}
    assert named == {"list_runs", "get_report", "publish", "numbers_link", "revoke", "fetch_snapshot"}


def test_the_command_line_says_what_is_missing(capsys):
    with pytest.raises(SystemExit):
        main(["publish"])
    assert "run_id" in capsys.readouterr().err
