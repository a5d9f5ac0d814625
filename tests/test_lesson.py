"""The lesson runs, and what is published is what its source says."""

import importlib
import json
import re
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import lesson  # noqa: E402


def test_the_notebook_has_the_cells_of_its_source_and_no_error():
    kept = json.loads(lesson.NOTEBOOK.read_text(encoding="utf-8"))
    assert lesson.same_cells(lesson.notebook(lesson.SOURCE.read_text(encoding="utf-8")), kept)
    code = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert "error" not in kinds


def test_the_steps_at_the_top_are_the_sections_below():
    text = lesson.SOURCE.read_text(encoding="utf-8")
    listed = re.findall(r"^# \| (\d+) \| ", text, re.MULTILINE)
    sections = re.findall(r"^# ## (\d+)\. ", text, re.MULTILINE)
    assert listed == sections == [str(n + 1) for n in range(len(sections))]
    assert len(sections) == 10
    assert "There are ten steps" in text


def test_every_picture_says_what_it_shows_and_every_cell_that_says_so_shows_one():
    kept = json.loads(lesson.NOTEBOOK.read_text(encoding="utf-8"))
    for cell in kept["cells"]:
        shown = [o for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
        assert bool(shown) == bool(cell["metadata"].get("alt")), "".join(cell["source"])


def shown_by(words: str) -> str:
    """Return what the cell shows whose output contains these words."""
    kept = json.loads(lesson.NOTEBOOK.read_text(encoding="utf-8"))
    texts = ["".join(o.get("text", ())) for c in kept["cells"] for o in c.get("outputs", ())]
    (found,) = (text for text in texts if words in text)
    return found


def test_what_it_says_of_packing_beams_and_bleu_is_what_it_shows():
    assert "batch sizes [5, 4, 3, 3, 2, 1]" in shown_by("batch sizes")
    assert re.search(r"greedy +0.24 +a star\nbeam of 2 +0.36 +two stars", shown_by("beam of 2"))
    assert "c = 6, r = 7, brevity penalty 0.846" in shown_by("brevity penalty")


def test_what_it_says_of_self_critical_training_is_what_it_shows():
    table = shown_by("self-critical ")
    lines = [line.split() for line in table.splitlines()[1:]]
    rows = {name: [float(figure) for figure in figures] for name, *figures in lines}
    (cider, truth, words), before = rows["self-critical"], rows["soft"]
    assert cider > before[0]
    assert truth > before[1]
    assert words < before[2]


def test_what_it_imports_of_cutline_is_there():
    code = "\n".join(
        line
        for cell in lesson.notebook(lesson.SOURCE.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
        for line in cell["source"]
    )
    for module, names in re.findall(r"^from (cutline[\w.]*) import (.+)$", code, re.MULTILINE):
        found = importlib.import_module(module)
        assert [name for name in names.split(", ") if not hasattr(found, name)] == [], module


def book(*cells: str) -> dict[str, object]:
    """A notebook of cells, run, whose code shows how often it was run."""
    built = lesson.notebook("".join(cells))
    for cell in built["cells"]:
        if cell["cell_type"] == "code":
            cell.update(execution_count=1, outputs=["shown"])
    return built


def test_changed_text_is_taken_over_without_running_the_code():
    built = lesson.notebook("# %% [markdown]\n# new\n# %% [markdown]\n# more\n# %%\n1 + 1\n")
    changed = lesson.with_text(built, book("# %% [markdown]\n# old\n", "# %%\n1 + 1\n"))
    assert changed is not None
    assert lesson.same_cells(changed, built)
    assert changed["cells"][-1]["outputs"] == ["shown"]
    assert changed["cells"][-1]["execution_count"] == 1


def test_text_is_not_taken_over_where_the_code_has_changed():
    built = lesson.notebook("# %% [markdown]\n# new\n# %%\n1 + 2\n")
    assert lesson.with_text(built, book("# %% [markdown]\n# old\n", "# %%\n1 + 1\n")) is None


@pytest.mark.slow
def test_the_lesson_runs_in_under_ten_minutes(tmp_path: Path):
    pytest.importorskip("nbclient", reason="pip install nbclient nbformat ipykernel")
    pytest.importorskip("ipykernel", reason="pip install nbclient nbformat ipykernel")
    started = time.perf_counter()
    lesson.run(lesson.notebook(lesson.SOURCE.read_text(encoding="utf-8")), tmp_path)
    assert time.perf_counter() - started < lesson.LIMIT
