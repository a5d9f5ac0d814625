"""How the code reads, checked on its syntax trees: names of things, and who writes files."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "cutline"
# Rewritten on a branch of their own; held to the same rules once they are there.
ELSEWHERE = ()
FILES = [
    path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.relative_to(SOURCE).parts[0] not in ELSEWHERE
]
RIDDLES = ("What", "Who", "Whose", "Where", "How", "Why", "When", "Which", "Whether")
MODES = [f"{kind}{more}" for kind in ("w", "a", "x", "r+") for more in ("", "b", "t")]
Documented = ast.Module | ast.ClassDef | ast.FunctionDef
# Files that grow while they are written, are of one process only, or are held by a lock.
WRITES_IN_PLACE = {
    "data/cache.py": "the feature cache, filled row by row",
    "metrics/spice.py": "a temporary folder that Java reads",
    "results/lock.py": "the number of the process that holds the lock",
    "results/output.py": "a results file, whole after each row",
    "results/failures.py": "a list of failures that grows line by line",
    "results/owners.py": "a list in the cache that grows line by line",
}


def read(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def public(tree: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, Documented]]:
    yield name, tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            inner = f"{name}.{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from public(node, inner)
            else:
                yield inner, node


def riddles(tree: ast.Module, name: str) -> list[str]:
    return [
        f"{name}: {text.splitlines()[0]}"
        for name, node in public(tree, name)
        if (text := ast.get_docstring(node)) and text.split()[0] in RIDDLES
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_first_line_of_a_docstring_names_the_thing(path: Path):
    tree = read(path)
    assert ast.get_docstring(tree) or path.name == "__main__.py"
    assert riddles(tree, path.stem) == []


def test_a_riddle_is_found_in_a_module_a_class_and_a_function():
    tree = ast.parse(
        '"""What trains."""\nclass Loss:\n    """Where it looked."""\n'
        'def steps():\n    """How many."""\n'
    )
    found = ["m: What trains.", "m.Loss: Where it looked.", "m.steps: How many."]
    assert riddles(tree, "m") == found


def shadowed(package: Path) -> list[str]:
    """Names that a package re-exports, of which one of its own modules has the name, too."""
    found = read(package / "__init__.py").body
    names = {a.asname or a.name for n in found if isinstance(n, ast.ImportFrom) for a in n.names}
    modules = {path.stem for path in package.iterdir()}
    return sorted(names & modules)


@pytest.mark.parametrize(
    "package",
    [path.parent for path in FILES if path.name == "__init__.py"],
    ids=lambda path: path.name,
)
def test_no_function_takes_the_place_of_its_module(package: Path):
    assert shadowed(package) == []


def test_a_function_that_takes_the_place_of_its_module_is_found(tmp_path):
    (tmp_path / "__init__.py").write_text("from cutline.network.average import average, other\n")
    (tmp_path / "average.py").write_text("")
    assert shadowed(tmp_path) == ["average"]


def writes(tree: ast.Module) -> list[str]:
    """Calls that write to a file, but for drafts that `cutline.files` and `folders` rename."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if not isinstance(call.func, ast.Attribute):
            continue
        modes = [n.value for a in call.args for n in ast.walk(a) if isinstance(n, ast.Constant)]
        opened = call.func.attr == "open" and any(mode in MODES for mode in modes)
        if call.func.attr in ("write_text", "write_bytes") or opened:
            target = ast.unparse(call.func.value)
            found += [] if "draft" in target else [ast.unparse(call)[:60]]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_are_written_whole_or_not_at_all(path: Path):
    found = writes(read(path))
    assert bool(found) == (str(path.relative_to(SOURCE)) in WRITES_IN_PLACE), found


def test_a_file_that_is_written_in_place_is_found():
    tree = ast.parse('(draft / "a").write_text("")\npath.write_text("")\npath.open("ab")\n')
    assert len(writes(tree)) == 2
