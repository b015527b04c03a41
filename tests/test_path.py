"""The whole path without a screen: a file becomes a run, checkpoints, reports, a comparison and a link, all real."""

import json
import time

import pytest

from dialogues.split import split_examples
from dialogues.upload import read_upload
from evaluation.comparison import compare
from evaluation.report import Report
from prompting.catalog import DEFAULT
from prompting.model import Decoding, load
from sharing.page import page_html
from sharing.scrub import scrubbed
from sharing.snapshot import Snapshots
from tuning import jobs
from tuning.plan import propose
from tuning.runs import FINISHED, MEASURE, create


@pytest.mark.slow
def test_an_uploaded_file_is_tuned_saved_reloaded_measured_compared_and_linked(tmp_path, chats, tiny_model):
    file = tmp_path / "chats.jsonl"
    rows = [{"chat": e.dialogue.text, "summaries": list(e.references)} for part in chats.splits.values() for e in part]
    file.write_text("\n".join(map(json.dumps, rows)))
    dataset, _ = split_examples("chats", read_upload(file, file.name).examples)

    plan = propose(dataset, str(tiny_model), "full", "quick", precision="fp32")
    run = create(tmp_path / "runs", plan, dataset, "Forty chats", "ann")
    jobs.start(run)
    jobs.start_measuring(run)
    assert jobs.wait(run, 180) and run.progress().state == FINISHED, run.log_tail()
    deadline = time.monotonic() + 180
    while run.alive(MEASURE) and time.monotonic() < deadline:
        time.sleep(0.2)

    steps = [checkpoint.step for checkpoint in run.checkpoints()]
    reports = [Report.from_json(record) for record in run.reports()]
    assert [report.step for report in reports] == steps and len(steps) == 5, run.log_tail(job=MEASURE)
    first, *_, last = run.progress().loss_curve
    assert last[1] < first[1], "a model that was tuned fits its chats better"

    test = dataset.splits["test"]
    again = load(run.checkpoint_source(steps[-1])).summarize([DEFAULT.render(e.dialogue) for e in test], Decoding())
    assert [summary.text for summary in again] == [result.summary for result in reports[-1].results]

    comparison = compare(reports, test, "Forty chats")
    snapshots = Snapshots(tmp_path / "published")
    fetched = snapshots.fetch(snapshots.publish(comparison, "chats", "ann"))
    assert fetched == scrubbed(comparison)[0]  # noise can look like an address, too
    assert comparison.verdict.split(";")[0] in page_html(fetched, {}).replace("&#x27;", "'")
