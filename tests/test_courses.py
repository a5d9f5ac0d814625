"""The page of the source courses: a row for every step, and every command prints what it says."""

import contextlib
import re
import shlex
from pathlib import Path

import pytest

from cutline.data.scenes import ScenePicture
from support.terminal import cutline

PAGE = Path(__file__).resolve().parents[1] / "docs" / "courses.md"
STEPS = {"A": 9, "B": 4, "C": 9, "D": 5, "E": 4}
CODE = re.compile(r"`([^`]+)`")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<= )\|(?= )", line[1:-1])] for line in lines]


def commands() -> list[tuple[str, list[str]]]:
    """Each command or line of Python, and what it prints."""
    found = []
    for row in rows():
        if row[2].startswith("`"):
            (command,) = CODE.findall(row[2])
            found.append((command, CODE.findall(row[3])))
    return found


def prints(output: str, said: str) -> bool:
    """Whether `output` has what was `said`, in which `…` stands for anything in the line."""
    return re.search(".*?".join(map(re.escape, said.split("…"))), output) is not None


def test_every_step_of_the_courses_has_a_row():
    named = {row[0] for row in rows()}
    assert named >= {f"{course}{n + 1}" for course, steps in STEPS.items() for n in range(steps)}


def test_every_command_says_what_it_prints():
    assert len(commands()) > 30
    assert all(outputs for _, outputs in commands())


def test_what_stands_for_anything_stays_in_its_line():
    assert prints("epoch 2/2  loss 1.2\n", "epoch 2/2 …loss …")
    assert not prints("epoch 2/2\nloss 1.2", "epoch 2/2…loss …")


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    ScenePicture(1, 200).open().save(tmp_path / "photo.jpg")
    (imports,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    with contextlib.chdir(tmp_path):
        exec(imports, names)
        for command, outputs in commands():
            if command.startswith(">>> "):
                output = repr(eval(command.removeprefix(">>> "), names))
            else:
                program, *words = shlex.split(command)
                assert program == "cutline"
                done = cutline(*words)
                assert done.returncode == 0, f"{command}\n{done.stderr}"
                output = done.stdout + done.stderr
            for said in outputs:
                assert prints(output, said), f"{command}\nprinted\n{output}\nwithout {said}"
