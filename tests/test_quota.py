"""Quotas: whoever takes too much of the machine is refused with every reason and what to do, and nobody else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dialogues.dialogue import Dataset
from tuning import line
from tuning.plan import propose
from tuning.quota import Quota
from tuning.runs import FINISHED, Run, State, create, delete


@pytest.fixture
def runs(tmp_path: Path, tiny_model: Path, chats: Dataset) -> list[Run]:
    """Three of Ada's runs: one is finished, two are in line."""
    plan = propose(chats, str(tiny_model), "full", "quick", precision="fp32")
    made = [create(tmp_path, plan, chats, "run", "ada") for _ in range(3)]
    made[0].write_state(State(FINISHED))
    with line.locked(tmp_path):
        for run in made[1:]:
            line.join(run, None)
    return made


def test_whoever_is_within_every_bound_and_whoever_has_nothing_is_let_pass(runs: list[Run], tmp_path: Path) -> None:
    exact = Quota(in_line=3, kept=4)
    assert exact.problems(tmp_path, "ada", 10**9) == []
    for other in ("ben", ""):
        assert Quota(1, 1, 10**6).problems(tmp_path, other) == []


def test_every_bound_that_is_passed_is_named_with_its_remedy(runs: list[Run], tmp_path: Path) -> None:
    found = Quota(in_line=2, kept=3, disk_bytes=10**6).problems(tmp_path, "ada", 2 * 10**9)
    assert [problem.reason.split(";")[0] for problem in found] == [
        "2 of your runs are in line or in training",
        "You keep 3 runs",
        "Your runs take 0.0 GB of disk with what they will write and this one would add 2.0 GB",
    ]
    assert "cancel one" in found[0].remedy and all("Delete run and chats" in one.remedy for one in found[1:])


@pytest.mark.parametrize("bound", [{"in_line": 2}, {"kept": 3}, {"disk_bytes": 100 * 10**6}])
def test_what_is_refused_is_possible_again_after_the_remedy(
    runs: list[Run], tmp_path: Path, bound: dict[str, Any]
) -> None:
    quota = replace(Quota(), **bound)
    (runs[2].folder / "weights").write_bytes(b"0" * 100 * 10**6)
    assert len(quota.problems(tmp_path, "ada")) == 1
    delete(runs[2])
    assert quota.problems(tmp_path, "ada") == []


def test_runs_in_line_count_with_the_disk_that_they_will_take_and_those_that_are_over_with_what_they_took(
    tmp_path: Path, chats: Dataset
) -> None:
    plan = propose(chats, "google/flan-t5-large", "full", "quick")
    run = create(tmp_path, plan, chats, "large", "ada")
    bound = Quota(disk_bytes=10**9)
    assert ["disk" in problem.reason for problem in bound.problems(tmp_path, "ada")] == [True]
    run.write_state(State(FINISHED))
    assert bound.problems(tmp_path, "ada") == []
