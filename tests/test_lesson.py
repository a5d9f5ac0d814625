"""The lesson runs, and what is published is what its source says."""

import json
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
