"""Write the trees of source files: of all files in docs/architecture.md, of packages in README.md.

python tools/tree.py           writes them
python tools/tree.py --check   exits with 1 when they are not up to date (a test runs this)

Beside each file stands the first line of its module's docstring. A docstring whose first line is
longer than the tree's line is cut at the end of its first sentence, and then at a word.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "cutline"
PAGES = {"docs/architecture.md": None, "README.md": 1}  # how many levels deep; None is all
MARKED = re.compile(r"(<!-- tree: [^\n]* -->\n).*?(<!-- /tree -->)", re.DOTALL)
WIDTH = 116  # of a line of the tree
INDENT = 2
COLUMN = 28  # where descriptions begin
CUT = " ..."


def description(docstring: str, room: int) -> str:
    """Return the first line of a docstring, or as much of its first sentence as has room.

    >>> description("The LSTM cell.", 30)
    'The LSTM cell'
    >>> description("Beam search. It keeps the K best captions.", 30)
    'Beam search'
    >>> description("A sentence that has far too many words for its line", 30)
    'A sentence that has far ...'
    """
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    if len(paragraph) > room:
        paragraph = re.split(r"(?<=[^.\s]{2}\.)\s", paragraph, maxsplit=1)[0]
    paragraph = paragraph.removesuffix(".")
    if len(paragraph) <= room:
        return paragraph
    return paragraph[: room - len(CUT) + 1].rpartition(" ")[0].rstrip(",:;") + CUT


def tree(folder: Path, *, depth: int | None = None) -> str:
    """Return the tree of a package: a line for each module and package, files before folders."""
    return "\n".join([f"{folder.name}/", *_lines(folder, level=1, depth=depth)])


def _lines(folder: Path, *, level: int, depth: int | None) -> Iterator[str]:
    modules = sorted(p for p in folder.glob("*.py") if p.name not in ("__init__.py", "__main__.py"))
    packages = sorted(p.parent for p in folder.glob("*/__init__.py"))
    for path in modules:
        yield _line(path.name, path, level)
    for package in packages:
        yield _line(f"{package.name}/", package / "__init__.py", level)
        if depth is None or level < depth:
            yield from _lines(package, level=level + 1, depth=depth)


def _line(name: str, path: Path, level: int) -> str:
    start = (" " * INDENT * level + name).ljust(COLUMN - 2) + "  "
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return (start + description(docstring, WIDTH - len(start))).rstrip()


def with_tree(page: str, depth: int | None) -> str:
    """Return a page whose marked part is the tree of today."""
    drawn = f"\n```text\n{tree(SOURCE, depth=depth)}\n```\n\n"
    return MARKED.sub(lambda found: found[1] + drawn + found[2], page)


def main() -> int:
    """Write or check the pages."""
    stale = []
    for name, depth in PAGES.items():
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        if (text := with_tree(page, depth)) != page:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"not up to date: {', '.join(stale)}; run `python tools/tree.py`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
