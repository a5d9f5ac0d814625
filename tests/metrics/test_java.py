"""Finding Java, and talking with a program: a script stands in for Java."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cutline.metrics.java import JavaProgram, find_java, why_no_java

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are scripts")

ECHO = """
import sys
for line in sys.stdin:
    print("answer to", line.strip(), flush=True)
"""
SLEEP = "import sys, time; sys.stdin.readline(); time.sleep(60)"

Make = Callable[..., str]


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a `java` that says something on stderr, and put it on PATH."""
    monkeypatch.delenv("JAVA_HOME", raising=False)

    def make(says: str, *, status: int = 0, folder: str = "bin") -> str:
        path = tmp_path / folder / "java"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{says}\nEND\nexit {status}\n", "utf-8")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        return str(path)

    return make


def program(script: str, folder: Path) -> JavaProgram:
    return JavaProgram([sys.executable, "-c", script], folder=folder)


# --- Where Java is, and which


def test_the_java_of_java_home_comes_before_that_on_path(
    fake_java: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    on_path = fake_java("")
    at_home = fake_java("", folder="home/bin")
    monkeypatch.setenv("PATH", str(Path(on_path).parent))
    assert find_java() == on_path
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == at_home
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert find_java() == on_path


def test_no_java_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert why_no_java("METEOR") == (
        "METEOR needs Java, and there is none in JAVA_HOME or on PATH: install Java 8 or newer"
    )


@pytest.mark.parametrize(
    ("says", "good"),
    [
        ('openjdk version "17.0.2" 2022-01-18', True),
        ('java version "1.8.0_312"', True),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1G\nopenjdk version "21" 2023-09-19', True),
        ('openjdk version "24-ea" 2025-03-18', True),
        ('java version "1.7.0_80"', False),
    ],
)
def test_java_8_and_newer_will_do(fake_java: Make, says: str, good: bool):
    java = fake_java(says)
    too_old = f"METEOR needs Java 8 or newer, and '{java}' is 7: point JAVA_HOME at one"
    assert why_no_java("METEOR") == (None if good else too_old)


def test_java_that_is_too_new_is_told_why(fake_java: Make):
    java = fake_java('openjdk version "17.0.2"')
    assert why_no_java("SPICE", newest=14, because="it is old") == (
        f"SPICE needs Java 8 to 14 (it is old), and '{java}' is 17: point JAVA_HOME at one"
    )


@pytest.mark.parametrize(
    ("says", "status", "shown"),
    [
        (
            "Unable to locate a Java Runtime.\nPlease visit ...",
            1,
            "Unable to locate a Java Runtime.",
        ),
        ("hello", 0, "hello"),
        ("", 1, "nothing"),
    ],
)
def test_java_that_is_no_java_is_quoted(fake_java: Make, says: str, status: int, shown: str):
    java = fake_java(says, status=status)
    assert why_no_java("METEOR") == (
        f"METEOR needs Java, but '{java}' does not run (it said: {shown}): "
        "install Java 8 or newer, or point JAVA_HOME at one"
    )


def test_a_file_that_is_no_program_is_no_java(fake_java: Make):
    Path(fake_java("")).write_bytes(b"\x7fELF is how a program begins")
    assert "does not run (Exec format error)" in (why_no_java("METEOR") or "")


def test_java_that_has_been_repaired_is_found(fake_java: Make):
    fake_java("broken", status=1)
    assert why_no_java("METEOR")
    fake_java('openjdk version "17.0.2"')
    assert why_no_java("METEOR") is None


# --- A program to talk with


def test_each_question_gets_its_answer(tmp_path: Path):
    echo = program(ECHO, tmp_path)
    answers = [echo.ask(b"%d" % i, patience=20) for i in range(100)]
    echo.close()
    assert answers == [[f"answer to {i}"] for i in range(100)]
    assert not echo.alive()


def test_a_question_of_a_million_letters_arrives_whole(tmp_path: Path):
    echo = program(ECHO, tmp_path)
    assert echo.ask(b"x" * 1_000_000, patience=20) == ["answer to " + "x" * 1_000_000]
    echo.close()


def test_a_question_is_one_line(tmp_path: Path):
    echo = program(ECHO, tmp_path)
    with pytest.raises(ValueError, match="one line"):
        echo.ask(b"a\nb", patience=20)
    echo.close()


def test_complaints_do_not_block_the_answers(tmp_path: Path):
    loud = program(f"import sys\nsys.stderr.write('warning ' * 500_000)\n{ECHO}", tmp_path)
    assert loud.ask(b"still there?", patience=20) == ["answer to still there?"]
    loud.close()


def test_a_program_that_ends_says_why_and_not_where(tmp_path: Path):
    script = (
        "import sys; sys.stdin.readline(); sys.exit('Exception: no\\n\\tat here\\n\\tat there')"
    )
    with pytest.raises(EOFError, match=r"^Exception: no$"):
        program(script, tmp_path).ask(b"why?", patience=20)


def test_a_program_that_ends_without_a_word_has_an_exit_status(tmp_path: Path):
    with pytest.raises(EOFError, match="exit status 3"):
        program("import sys; sys.stdin.readline(); sys.exit(3)", tmp_path).ask(b"", patience=20)


def test_a_question_to_a_program_that_has_ended_is_an_error(tmp_path: Path):
    ended = program("", tmp_path)
    while ended.alive():
        pass
    with pytest.raises(EOFError):
        ended.ask(b"x" * 1_000_000, patience=20)


def test_a_program_that_is_silent_is_closed(tmp_path: Path):
    silent = program(SLEEP, tmp_path)
    with pytest.raises(TimeoutError, match=r"no answer in 0\.2 seconds"):
        silent.ask(b"anyone?", patience=0.2)
    assert not silent.alive()


def test_after_an_interrupt_no_late_answer_is_taken_for_another(tmp_path: Path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    silent = program(SLEEP, tmp_path)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            silent.ask(b"anyone?", patience=20)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not silent.alive()


def test_an_abandoned_program_lives_on_in_the_parent(tmp_path: Path):
    echo = program(ECHO, tmp_path)
    if (child := os.fork()) == 0:
        echo.abandon()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert echo.ask(b"still there?", patience=20) == ["answer to still there?"]
    echo.close()
