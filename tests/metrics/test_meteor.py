"""METEOR against the reference COCO evaluation, then what must never go wrong between processes."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cutline.errors import CutlineError, DataError, MissingDependencyError, UsageError
from cutline.metrics import meteor as module
from cutline.metrics import ptb_tokenize
from cutline.metrics.meteor import Meteor, Scorer, measure, meteor, why_not

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reference_scores"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and scripts of Unix")
needs_meteor = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

Words = list[str]


def words(*texts: str) -> list[Words]:
    return [text.split(" ") if text else [] for text in texts]


PLAIN = words("a red bus on the street", "two dogs run", "a cat sleeps")
TRUTHS = [
    words("a red bus in a street", "the bus is red"),
    words("two canines are running"),
    words("a kitten sleeping", "one cat asleep on a chair"),
]


def tokenized(folder: Path, name: str) -> tuple[list[Words], list[list[Words]], dict]:
    inputs = json.loads((folder / f"{name}.json").read_text("utf-8"))
    expected = json.loads((folder / f"{name}.expected.json").read_text("utf-8"))
    rows = [inputs[image] for image in expected["keys"]]
    candidates = [ptb_tokenize(row["hyp"]) for row in rows]
    return candidates, [[ptb_tokenize(ref) for ref in row["refs"]] for row in rows], expected


def check_equal_to_reference(folder: Path, name: str) -> Meteor:
    candidates, references, expected = tokenized(folder, name)
    made = measure(candidates, references)
    assert made.corpus == pytest.approx(expected["scores"]["METEOR"], abs=1e-9)
    assert made.images == pytest.approx(expected["per_image"]["METEOR"], abs=1e-9)
    return made


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scorer]:
    """A program of this test's own, not started yet."""
    scorer = Scorer()
    monkeypatch.setattr(module, "SCORER", scorer)
    yield scorer
    scorer.close()


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Scorer) -> Path:
    """The jar beside a table of one paraphrase: with the table of English, a start takes 8 s."""
    folder, made = module._folder(), tmp_path / "quick"
    assert folder is not None
    (made / "data").mkdir(parents=True)
    place(folder / module.JAR, made / module.JAR)
    with gzip.open(made / module.PARAPHRASES, "wt") as table:
        table.write("0.5\nacross\nthrough\n")
    monkeypatch.setattr(module, "_folder", lambda: made)
    return made


def place(path: Path, there: Path) -> None:
    """Link or copy a file; Java follows symbolic links, so that would be the old path."""
    try:
        there.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, there)


# --- Figures


@needs_meteor
def test_self_written_captions_score_as_in_the_reference():
    check_equal_to_reference(FIXTURES, "synthetic")


@needs_meteor
@pytest.mark.parametrize(
    "name", ["fakecap251", "flickr30k_test__A", "coco_test__A", "coco_test__B"]
)
def test_real_captions_score_as_in_the_reference(shared: Path, name: str):
    check_equal_to_reference(shared / "reference-scores" / "third_party", name)


@needs_meteor
def test_draws_of_images_score_as_if_the_program_had_scored_them():
    candidates, references, _ = tokenized(FIXTURES, "synthetic")
    made = measure(candidates, references)
    draw = np.random.default_rng(0).integers(len(candidates), size=len(candidates))
    drawn, _ = meteor([candidates[i] for i in draw], [references[i] for i in draw])
    counts = np.bincount(draw, minlength=len(candidates))
    every = np.ones_like(counts)
    assert made.redraw(np.stack([counts, every])) == pytest.approx([drawn, made.corpus], abs=1e-12)
    assert made.redraw(np.eye(len(candidates), dtype=np.int64)) == pytest.approx(made.images)


@needs_meteor
def test_the_corpus_is_not_the_mean_of_the_images():
    corpus, images = meteor(PLAIN, TRUTHS)
    assert corpus != pytest.approx(sum(images) / len(images), abs=1e-3)


@needs_meteor
def test_the_same_words_score_one_and_other_words_nothing():
    same, empty, other = words("a red bus", "", "xyzzy")
    candidates = [same, empty, other, same, empty]
    references = [[same], [same], [same], [empty, other], [empty]]
    assert meteor(candidates, references)[1] == [1, 0, 0, 0, 0]


@needs_meteor
def test_stems_synonyms_and_paraphrases_count():
    (said,) = words("the dog runs across the street")
    others = words(
        "the dogs running across the street",
        "the domestic dog runs across the street",
        "the dog runs through the street",
        "the xyzzy runs across the street",
        "the dog xyzzy across the street",
        "the dog runs xyzzy the street",
    )
    stem, synonym, paraphrase, *unknown = meteor([said] * 6, [[other] for other in others])[1]
    assert max(unknown) < min(stem, synonym, paraphrase)
    assert max(stem, synonym, paraphrase) < 1


@needs_meteor
def test_a_word_with_a_nul_matches_nothing_and_is_as_long_as_the_unknown_word():
    unknown, marked, known = ["a", "<unk>", "runs"], ["a", "<unk>\0", "runs"], ["a", "dog", "runs"]
    _, (same, marked_same, other, marked_other) = meteor(
        [unknown, marked, unknown, marked], [[unknown], [unknown], [known], [known]]
    )
    assert same == 1
    assert marked_same < 0.9
    assert marked_other == other


# --- Awkward captions

AWKWARD = {
    "the mark between fields": ["|||"],
    "marks": ["a", "||||||", "b|||c", "|", "||"],
    "a lone stop": ["."],
    "stops": [".", "..", "...", ". . ."],
    "nothing": [],
    "an empty word": [""],
    "spaces": ["", " ", "  "],
    "lines": ["a\nb", "\r", "\r\n", "\n\n"],
    "other lines": ["a\x0bb", "\x0c", "\x85", "\u2028", "\u2029", "\x1c\x1d\x1e"],
    "controls": ["\0", "\x01", "\x1a", "\x04", "\x7f"],
    "emoji": ["a", "\U0001f600", "👩‍👩‍👧"],
    "lone surrogates": ["\ud83d", "a\udc00"],
    "the word that matches nothing": ["\ue000\ue000\ue000"],
    "joined tokens": ["1\xa01/2", "-lrb-415-rrb-\xa0555-1212"],
    "commands": ["SCORE", "|||", "EVAL", "|||", "1.0"],
    "entities": ["&lt;", "&#124;&#124;&#124;", "&amp;amp;"],
    "a long word": ["x" * 200_000],
    "ten thousand words": [f"word{i}" for i in range(10_000)],
}


@needs_meteor
@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_caption_never_shifts_the_score_of_another(name: str):
    odd = AWKWARD[name]
    expected = meteor(PLAIN, TRUTHS)[1]
    made = meteor(
        [PLAIN[0], odd, PLAIN[1], PLAIN[1], odd, PLAIN[2]],
        [TRUTHS[0], TRUTHS[1], [odd], TRUTHS[1], [odd, PLAIN[0]], TRUTHS[2]],
    )[1]
    assert [made[0], made[3], made[5]] == expected
    assert 0 <= min(made) <= max(made) <= 1


@needs_meteor
def test_marks_inside_a_reference_do_not_make_two_of_it():
    candidate, whole, half = words("a red bus", "a red bus ||| two dogs", "a red bus")
    _, (marked, plain) = meteor([candidate, candidate], [[whole], [[*half, "two", "dogs"]]])
    assert marked == plain < 1


@needs_meteor
def test_a_caption_that_takes_too_long_is_named_and_the_next_one_is_scored(
    quick: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = meteor(PLAIN, TRUTHS)
    endless = ["man", "dog", "runs", "street", "red", "ball"] * 700
    with monkeypatch.context() as hurried:
        hurried.setattr(module, "PATIENCE", 1.0)
        with pytest.raises(DataError, match=r"gave up on image number 1, .* has 4200 words"):
            meteor([PLAIN[0], endless], [TRUTHS[0], [endless[1:]]])
    assert meteor(PLAIN, TRUTHS) == expected


@needs_meteor
@pytest.mark.slow
def test_a_caption_that_takes_too_much_memory_is_named():
    with pytest.raises(DataError, match=r"ran out of memory on image number 0, .* _JAVA_OPTIONS"):
        meteor([["a"] * 10_000], [words("a man and a dog")])


def test_captions_and_images_must_be_as_many():
    with pytest.raises(UsageError, match="3 captions for 2 images"):
        meteor(PLAIN, TRUTHS[:2])
    with pytest.raises(UsageError, match="at least one image"):
        meteor([], [])
    with pytest.raises(DataError, match="image number 1 has none"):
        meteor(PLAIN[:2], [TRUTHS[0], []])


# --- The program


@needs_meteor
@posix
def test_a_program_that_was_killed_in_between_is_started_again(quick: Path):
    expected = meteor(PLAIN, TRUTHS)
    program = module.SCORER.program
    assert program is not None
    os.kill(program.pid, signal.SIGKILL)
    assert meteor(PLAIN, TRUTHS) == expected
    assert module.SCORER.program is not program


@needs_meteor
def test_threads_get_each_their_own_scores():
    expected = [
        meteor([candidate], [truth]) for candidate, truth in zip(PLAIN, TRUTHS, strict=True)
    ]
    with ThreadPoolExecutor(3) as threads:
        made = list(threads.map(lambda i: meteor([PLAIN[i]], [TRUTHS[i]]), [0, 1, 2] * 50))
    assert made == expected * 50


@needs_meteor
def test_nothing_is_written_beside_the_jar():
    folder = module._folder()
    assert folder is not None
    meteor(PLAIN, TRUTHS)
    python = {".py", ".pyc"}
    assert {path.name for path in folder.rglob("*.*") if path.suffix not in python} == {
        "meteor-1.5.jar",
        "paraphrase-en.gz",
    }


@needs_meteor
@posix
def test_neither_an_odd_path_nor_the_users_language_changes_a_figure(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shouted, across = words("THE ISLAND IS BIG", "a man walks across it")
    candidates = [*PLAIN, shouted, across]
    references = [*TRUTHS, words("the island is big"), words("a man walks through it")]
    expected = meteor(candidates, references)
    odd = tmp_path / "a b:é%20"
    (odd / "data").mkdir(parents=True)
    for name in (module.JAR, module.PARAPHRASES):
        place(quick / name, odd / name)
    monkeypatch.setattr(module, "_folder", lambda: odd)
    monkeypatch.setattr(module, "SCORER", Scorer())
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=tr -Dfile.encoding=US-ASCII")
    monkeypatch.setenv("LC_ALL", "C")
    try:
        assert meteor(candidates, references) == expected
    finally:
        module.SCORER.close()


WITH_A_CHILD = """
import os, sys, time
from pathlib import Path
from cutline.metrics.meteor import SCORER, meteor
sys.modules["cutline.metrics.meteor"]._folder = lambda: Path(sys.argv[1])
meteor([["a", "dog"]], [[["a", "canine"]]])
java = SCORER.program.pid
SCORER.lock.acquire()  # as if another thread was busy
if os.fork() == 0:
    print(java, os.getpid(), SCORER.program is None, SCORER.lock.locked(), flush=True)
time.sleep(60)
"""


def gone(pid: int) -> bool:
    """Say whether a process has ended, also when nobody has waited for it."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and status.read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


@needs_meteor
@posix
def test_the_program_ends_with_a_python_that_is_killed_though_a_fork_of_it_lives_on(quick: Path):
    words = [sys.executable, "-c", WITH_A_CHILD, str(quick)]
    python = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert python.stdout is not None
    java, child, *fresh = python.stdout.readline().decode().split()
    try:
        assert fresh == ["True", "False"]
        python.kill()
        python.wait()
        deadline = time.monotonic() + 20
        while not gone(int(java)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert gone(int(java))
        assert not gone(int(child))
    finally:
        os.kill(int(child), signal.SIGKILL)
        python.stdout.close()


# --- Where it cannot be computed


def test_without_the_jar_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert why_not() == "METEOR needs an optional part: pip install 'cutline[meteor]'"
    with pytest.raises(MissingDependencyError, match=r"pip install 'cutline\[meteor\]'"):
        meteor(PLAIN, TRUTHS)


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks as if the jar was there, and no Java."""
    monkeypatch.setattr(module, "_folder", lambda: tmp_path)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_java_there_is_a_sentence_and_no_figure(jar: Path):
    reason = "METEOR needs Java, and there is none in JAVA_HOME or on PATH: install Java 8 or newer"
    assert why_not() == reason
    with pytest.raises(UsageError, match=reason):
        meteor(PLAIN, TRUTHS)


def stand_in(folder: Path, script: str) -> None:
    """Put a `java` there that says its version, and otherwise does as told."""
    version = "echo 'openjdk version \"17.0.2\"' >&2; exit"
    (folder / "java").write_text(
        f'#!/bin/sh\nif [ "$1" = -version ]; then {version}; fi\n{script}\n', "utf-8"
    )
    (folder / "java").chmod(0o755)


@posix
def test_java_that_ends_at_once_is_quoted_after_a_second_try(jar: Path, fresh: Scorer):
    stand_in(jar, f"echo started >> '{jar}/count'; echo 'Error: no such jar' >&2; exit 1")
    assert why_not() is None
    with pytest.raises(CutlineError, match=r"ended twice on image number 0.*Error: no such jar"):
        meteor(PLAIN, TRUTHS)
    assert (jar / "count").read_text("utf-8") == "started\n" * 2


@posix
def test_an_answer_that_is_no_statistics_is_quoted(jar: Path, fresh: Scorer):
    stand_in(jar, "read line; echo 'Error: specify SCORE'; read line")
    with pytest.raises(CutlineError, match=r"no statistics for image number 0.*Error: specify"):
        meteor(PLAIN, TRUTHS)
    assert fresh.program is None


def test_asking_why_not_is_cheap_and_starts_no_program(fresh: Scorer):
    why_not()
    start = time.perf_counter()
    for _ in range(100):
        why_not()
    assert time.perf_counter() - start < 5
    assert fresh.program is None
    assert "pycocoevalcap.meteor" not in sys.modules
