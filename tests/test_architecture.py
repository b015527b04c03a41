"""The house stands: imports point down, heavy libraries keep to their doors, captions are told once."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["dialogues", "prompting", "tuning", "evaluation", "sharing", "ui"]  # from the ground up
DOORS = {
    "gradio": {"ui/*", "app.py"},
    "torch": {
        "evaluation/judges.py",
        "prompting/decoding.py",
        "prompting/model.py",
        "tuning/accelerator.py",
        "tuning/train.py",
        "tuning/warmup.py",
        "tuning/trainer.py",
        "tuning/ranks.py",
        "tuning/reporter.py",
        "tuning/rehearsal.py",
        "tuning/objective.py",
        "tuning/pretrain.py",
        "tuning/muon.py",
        "tuning/batches.py",
    },
    "transformers": {
        "evaluation/judges.py",
        "prompting/model.py",
        "tuning/train.py",
        "tuning/warmup.py",
        "tuning/trainer.py",
        "tuning/reporter.py",
        "tuning/objective.py",
        "tuning/prepare.py",
        "tuning/pretrain.py",
    },
    "peft": {"prompting/model.py", "tuning/warmup.py", "tuning/trainer.py", "tuning/rehearsal.py"},
    "bert_score": {"evaluation/bertscore.py"},
    "evaluate": {"evaluation/tuneproof_metric/tuneproof_metric.py"},
    "plotly": {"evaluation/charts.py", "ui/routes.py"},
}
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))] + [ROOT / "app.py"]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports from the room's name, not relative ones"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def caption(path):
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split("\n")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path):
    room = path.relative_to(ROOT).parts[0]
    above = ROOMS[ROOMS.index(room) + 1 :] if room in ROOMS else []
    for name in imports(path):
        top = name.split(".")[0]
        assert top not in above, f"{room} stands below {top}: hand the value up instead of reaching for it"
        assert top not in ("app", "tests"), f"nobody imports {top}"
        assert name != "tuning.train", "tuning/train.py is run, not imported"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_come_in_by_their_own_doors(path):
    here = str(path.relative_to(ROOT))
    for name in imports(path):
        doors = DOORS.get(name.split(".")[0], {here})
        assert here in doors or f"{path.parent.name}/*" in doors, f"{name} may only come in by {sorted(doors)}"


def test_only_the_roof_reads_the_environment():
    readers = [path for path in MODULES if path.name != "app.py" and "os.environ" in path.read_text(encoding="utf-8")]
    assert not readers, "pass the value down from app.py"


def test_nothing_is_unpickled_shelled_or_trusted():
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        for forbidden in ("import pickle", "shell=True", "os.system", "trust_remote_code=True"):
            assert forbidden not in text, f"{path}: {forbidden}"


def test_the_readme_tree_tells_every_module_by_its_own_caption():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in MODULES:
        name = path.relative_to(ROOT).as_posix()
        assert f"`{name}` {caption(path)}" in readme, f"README: `{name}` {caption(path)}"


def test_module_names_are_unique_in_the_house():
    names = [path.name for path in MODULES if path.name not in ("__init__.py", "__main__.py")]
    assert len(names) == len(set(names))


def test_first_paint_waits_for_no_heavy_library():
    heavy = ["torch", "transformers", "evaluate", "plotly", "peft", "scipy"]
    code = f"import sys, app; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
