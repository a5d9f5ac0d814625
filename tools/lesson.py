"""Build docs/lesson.ipynb from docs/lesson.py, and run it.

python tools/lesson.py           runs the lesson and writes the notebook with what it showed
python tools/lesson.py --text    takes over changed text, and runs nothing, if the code is the same
python tools/lesson.py --check   exits with 1 when the notebook's cells are not the source's

The source is Python in cells (`# %%`, `# %% [markdown]`), the percent format that editors and
Jupytext know. A cell that draws says what it draws: `# %% alt="..."`; the words go with the
picture.
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
SOURCE, NOTEBOOK = DOCS / "lesson.py", DOCS / "lesson.ipynb"
LIMIT = 600  # seconds

_MARK = re.compile(r'^# %%(?P<markdown> \[markdown\])?(?: alt="(?P<alt>.*)")?\n', re.MULTILINE)


def notebook(source: str) -> dict[str, Any]:
    """Return the source as a notebook that has not been run."""
    marks = list(_MARK.finditer(source))
    ends = [*(mark.start() for mark in marks[1:]), len(source)]
    cells = [
        _cell(number, mark, source[mark.end() : end])
        for number, (mark, end) in enumerate(zip(marks, ends, strict=True), 1)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
    metadata = {"kernelspec": kernel, "language_info": language}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def run(built: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a notebook in a fresh kernel in `folder`; return it with what its cells showed.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    import nbformat
    from nbclient import NotebookClient

    client = NotebookClient(
        nbformat.reads(json.dumps(built), as_version=4),  # joins lines
        timeout=LIMIT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    shown = client.execute()
    return {**built, "cells": [_tidy(cell) for cell in shown.cells]}


def same_cells(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether two notebooks have the same cells, whatever these have shown."""
    kept = ("cell_type", "id", "metadata", "source")
    left, right = ([{k: c[k] for k in kept} for c in book["cells"]] for book in (one, other))
    return left == right


def with_text(built: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any] | None:
    """Return the text of `built` with the outputs of `kept`; None if their code differs."""
    old = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    new = [cell for cell in built["cells"] if cell["cell_type"] == "code"]
    if [cell["source"] for cell in old] != [cell["source"] for cell in new]:
        return None
    shown = iter(old)
    fields = ("execution_count", "outputs")
    cells = [
        cell | {field: ran[field] for field in fields}
        if cell["cell_type"] == "code" and (ran := next(shown))
        else cell
        for cell in built["cells"]
    ]
    return {**kept, "cells": cells}


def _write(shown: dict[str, Any]) -> int:
    """Write the notebook; return its length."""
    text = json.dumps(shown, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    NOTEBOOK.write_text(text, encoding="utf-8")
    return len(text)


def _cell(number: int, mark: re.Match[str], body: str) -> dict[str, Any]:
    common = {"id": f"lesson-{number:02d}", "metadata": {}}
    if mark["markdown"]:
        text = re.sub(r"^# ?", "", body.strip("\n"), flags=re.MULTILINE)
        return {"cell_type": "markdown", **common, "source": text.splitlines(keepends=True)}
    if mark["alt"]:
        common["metadata"] = {"alt": mark["alt"]}
    code = body.strip("\n").splitlines(keepends=True)
    return {
        "cell_type": "code",
        "execution_count": None,
        **common,
        "outputs": [],
        "source": code,
    }


def _tidy(cell: dict[str, Any]) -> dict[str, Any]:
    """Keep what a reader sees: text as one piece, pictures without their Python names."""
    if cell["cell_type"] != "code":
        return _lines(cell)
    outputs: list[dict[str, Any]] = []
    for output in cell["outputs"]:
        last = outputs[-1] if outputs else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        elif "image/png" in output.get("data", {}):
            image = output["data"]["image/png"].replace("\n", "")
            outputs.append({**output, "data": {"image/png": image}, "metadata": {}})
        else:
            outputs.append(dict(output))
    for output in outputs:
        if "text" in output:
            output["text"] = output["text"].splitlines(keepends=True)
    return _lines({**cell, "outputs": outputs})


def _lines(cell: dict[str, Any]) -> dict[str, Any]:
    source = cell["source"]
    return {**cell, "source": source if isinstance(source, list) else source.splitlines(True)}


def main() -> int:
    """Check the notebook, or run the lesson and write it."""
    built = notebook(SOURCE.read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        kept = json.loads(NOTEBOOK.read_text(encoding="utf-8")) if NOTEBOOK.is_file() else None
        if kept and same_cells(built, kept):
            return 0
        print("docs/lesson.ipynb is not up to date; run `python tools/lesson.py` (minutes)")
        return 1
    if "--text" in sys.argv:
        changed = with_text(built, json.loads(NOTEBOOK.read_text(encoding="utf-8")))
        if changed:
            _write(changed)
            return 0
        print("The code of docs/lesson.py has changed, too; run `python tools/lesson.py` (minutes)")
        return 1
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        shown = run(built, Path(folder))
    length = _write(shown)
    print(f"{time.perf_counter() - started:.0f} seconds, {length / 2**20:.2f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
