"""Which comparisons a visitor may see, each read once: the recorded one, and those of their own measured runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from dialogues.dialogue import Refused
from evaluation import reference_lines
from evaluation.comparison import Comparison, compare_run
from evaluation.several import together
from tuning.runs import list_runs, open_run
from ui.settings import RECORDED, Settings

Written = tuple[tuple[int, int], ...]  # the step of each report and when it was written
_COMPARING = threading.Lock()  # who comes while a comparison is being read waits for it instead of reading it again


def run_choices(settings: Settings, owner: str) -> list[tuple[str, str]]:
    """The recorded comparison, and the owner's runs that have been measured."""
    fixed = [("Recorded: our sample chats", RECORDED)] if settings.recorded() else []
    return [*((run.record.name, run.id) for run in list_runs(settings.runs, owner) if 0 in run.measured()), *fixed]


def comparison_of(settings: Settings, run_ids: Sequence[str]) -> Comparison:
    """The comparison of these runs' reports as they are now. Raises RunRefused or ComparisonRefused."""
    named = tuple((run_id, _written(settings, run_id)) for run_id in run_ids or [""])
    with _COMPARING:
        return _compared(settings, named)


def _written(settings: Settings, run_id: str) -> Written:
    recorded = run_id == RECORDED and settings.recorded()
    return () if recorded else tuple(open_run(settings.runs, run_id).written().items())


@lru_cache(maxsize=8)
def _compared(settings: Settings, named: tuple[tuple[str, Written], ...]) -> Comparison:
    """Runs, and when each of their reports was written, name one comparison."""
    if len(named) > 1:
        return together([_compared(settings, (one,)) for one in named])
    ((run_id, _),) = named
    recorded = settings.recorded() if run_id == RECORDED else None
    return recorded or compare_run(open_run(settings.runs, run_id))


def forget() -> None:
    """Let go of every chat that a comparison keeps in memory: somebody has deleted theirs."""
    _compared.cache_clear()
    reference_lines.forget()


def warm(settings: Settings, owner: str) -> None:
    """Read the owner's newest measured run behind their first look at the page, so that Compare opens on it at once."""
    threading.Thread(target=_compare_newest, args=(settings, owner), daemon=True).start()


def _compare_newest(settings: Settings, owner: str) -> None:
    with suppress(Refused, IndexError):  # said where it matters: when somebody opens the tab
        comparison_of(settings, [run_choices(settings, owner)[0][1]])
