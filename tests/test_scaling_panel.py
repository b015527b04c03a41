"""The scaling drawer: the paper's table as published, and our own record averaged over its seeds."""

from __future__ import annotations

import json
from pathlib import Path

from ui.scaling_panel import course, panel_html

RECORD = {
    "minutes": 2,
    "cases": 60,
    "runs": [
        {"tasks": 9, "seed": 0, "scores": {"need": 30.0, "reviews": 5.0}},
        {"tasks": 1, "seed": 0, "scores": {"need": 10.0, "reviews": 0.0}},
        {"tasks": 9, "seed": 1, "scores": {"need": 40.0, "reviews": 7.0}},
        {"tasks": 1, "seed": 1, "scores": {"need": 20.0, "reviews": 2.0}},
    ],
}


def test_seeds_are_averaged_and_numbers_of_tasks_ascend() -> None:
    assert course(RECORD) == (["1", "9"], {"need": [15.0, 35.0], "reviews": [1.0, 6.0]})


def test_the_drawer_shows_both_experiments_and_the_paper_alone_where_nothing_is_recorded(tmp_path: Path) -> None:
    alone = panel_html(tmp_path / "none.json")
    (tmp_path / "ours.json").write_text(json.dumps(RECORD))
    both = panel_html(tmp_path / "ours.json")
    assert (alone.count("<figure"), both.count("<figure")) == (1, 2)
    assert "2 seeds" in both and "60 answers" in both and "58.5" in alone
