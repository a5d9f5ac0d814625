"""SPICE: what reaches the Java program and what comes back. A script stands in for Java.

The parser's models (0.6 GB) are not here, so no figure is compared with the reference's.
"""

import json
import os
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from cutline.errors import CutlineError, DataError, UsageError
from cutline.metrics.spice import spice, why_not

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")

CORENLP = ("lib/stanford-corenlp-3.6.0.jar", "lib/stanford-corenlp-3.6.0-models.jar")
LIBRARIES = (*CORENLP, "lib/lmdbjni-0.4.6.jar")

# Its F is a tenth of the words of the caption. It notes what it was given.
FAKE_JAVA = r"""
import json, os, pathlib, sys
if sys.argv[1] == "-version":
    version = os.environ["FAKE"] if os.environ["FAKE"][0].isdigit() else "11.0.2"
    sys.exit(print(f'openjdk version "{version}"', file=sys.stderr))
words = sys.argv[sys.argv.index("-jar") + 1 :]
rows = json.loads(pathlib.Path(words[1]).read_text())
noted = {"words": words, "rows": rows, "folder": os.getcwd(), "options": sys.argv[1:]}
pathlib.Path(os.environ["NOTES"]).write_text(json.dumps(noted))
if os.environ["FAKE"] == "fails":
    sys.exit("Exception in thread main: OutOfMemoryError")
none = {"f": None, "pr": None, "re": None}
made = [
    {"image_id": row["image_id"],
     "scores": {"All": {"f": len(row["test"].split()) / 10}, "Color": none}}
    for row in reversed(rows)
]
if os.environ["FAKE"] == "null":
    made[0]["scores"]["All"] = none
pathlib.Path(words[words.index("-out") + 1]).write_text(json.dumps(made))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as SPICE wants it, and a stand-in for Java."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!{sys.executable}\n{FAKE_JAVA}", "utf-8")
    java.chmod(0o755)
    jars = tmp_path / "jars of mine"
    (jars / "lib").mkdir(parents=True)
    path = " ".join([*LIBRARIES, "lib/lmdbjni-linux64-0.4.6.jar"])
    manifest = "Manifest-Version: 1.0\r\n" + "\r\n ".join(cut(f"Class-Path: {path}", 70)) + "\r\n"
    with ZipFile(jars / "spice-1.0.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", manifest)
    for name in LIBRARIES:
        (jars / name).touch()
    for name, value in {
        "PATH": f"{java.parent}:{os.environ['PATH']}",
        "NOTES": str(tmp_path / "notes.json"),
        "CUTLINE_SPICE": str(jars),
        "FAKE": "11.0.2",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("JAVA_HOME", "CUTLINE_SPICE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return jars


def cut(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


def notes(tmp_path: Path) -> dict[str, list]:
    return json.loads((tmp_path / "notes.json").read_text("utf-8"))


def test_the_corpus_is_the_mean_of_the_images(folder: Path):
    corpus, images = spice([["a", "red", "bus"], [], ["two"]], [[["a", "bus"]]] * 3)
    assert images == pytest.approx([0.3, 0, 0.1])
    assert corpus == pytest.approx(0.4 / 3)


def test_the_program_gets_the_words_as_the_reference_gives_them(folder: Path, tmp_path: Path):
    spice([["a", "1\xa01/2"], ["é", "\ud83d"]], [[["b"], []], [["c"]]])
    noted = notes(tmp_path)
    assert noted["rows"] == [
        {"image_id": 0, "test": "a 1\xa01/2", "refs": ["b", ""]},
        {"image_id": 1, "test": "é \ud83d", "refs": ["c"]},
    ]
    assert noted["words"][0] == "spice-1.0.jar"
    assert noted["words"][-2:] == ["-subset", "-silent"]
    assert {"-Xmx8G", "-Duser.language=en", "-Dfile.encoding=UTF-8"} < set(noted["options"])
    assert noted["folder"] == str(folder)


def test_a_word_that_matches_nothing_is_no_word_of_a_reference(folder: Path, tmp_path: Path):
    spice([["a", "<unk>\0"]], [[["a", "<unk>"]]])
    assert notes(tmp_path)["rows"] == [{"image_id": 0, "test": "a <unk->", "refs": ["a <unk>"]}]


def test_nothing_is_kept_unless_a_folder_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = sorted(folder.rglob("*"))
    spice([["a"]], [[["a"]]])
    noted = notes(tmp_path)
    assert "-cache" not in noted["words"]
    assert not Path(noted["words"][1]).parent.exists()
    monkeypatch.setenv("CUTLINE_SPICE_CACHE", str(tmp_path / "kept" / "here"))
    spice([["a"]], [[["a"]]])
    words = notes(tmp_path)["words"]
    assert words[words.index("-cache") + 1] == str(tmp_path / "kept" / "here")
    assert (tmp_path / "kept" / "here").is_dir()
    assert sorted(folder.rglob("*")) == before


def test_a_program_that_fails_is_quoted(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKE", "fails")
    with pytest.raises(CutlineError, match=r"SPICE's Java program failed.*OutOfMemoryError"):
        spice([["a"]], [[["a"]]])


def test_an_image_without_a_figure_is_not_made_up(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FAKE", "null")
    with pytest.raises(CutlineError, match="results without a figure"):
        spice([["a"], ["b"]], [[["a"]]] * 2)


def test_without_the_folder_the_variable_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUTLINE_SPICE", raising=False)
    assert why_not() == (
        "SPICE needs spice-1.0.jar and its lib/, which Cutline does not carry: "
        "set CUTLINE_SPICE to the folder that holds them"
    )
    with pytest.raises(UsageError, match="set CUTLINE_SPICE"):
        spice([["a"]], [[["a"]]])


def test_a_folder_without_the_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUTLINE_SPICE", str(tmp_path))
    assert why_not() == (
        f"SPICE needs '{tmp_path}/spice-1.0.jar', which is not there: "
        "CUTLINE_SPICE names its folder"
    )


def test_missing_libraries_are_named_one_by_one(folder: Path):
    for name in CORENLP:
        (folder / name).unlink()
    assert why_not() == (
        f"SPICE needs '{folder}/{CORENLP[0]}', '{folder}/{CORENLP[1]}', which are not there; the "
        "CoreNLP ones are in https://nlp.stanford.edu/software/stanford-corenlp-full-2015-12-09.zip"
    )
    for name in CORENLP:
        (folder / name).touch()
    (folder / LIBRARIES[2]).unlink()
    assert why_not() == f"SPICE needs '{folder}/{LIBRARIES[2]}', which is not there"


def test_a_jar_that_was_cut_off_is_refused(folder: Path):
    (folder / "spice-1.0.jar").write_bytes(b"PK")
    assert "is not a whole jar" in (why_not() or "")


def test_java_without_a_javascript_engine_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("FAKE", "17.0.2")
    assert why_not() == (
        "SPICE needs Java 8 to 14 (it writes its results with the JavaScript engine that Java 15 "
        f"dropped), and '{tmp_path}/bin/java' is 17: point JAVA_HOME at one"
    )


def test_captions_and_images_must_be_as_many(folder: Path):
    with pytest.raises(UsageError, match="2 captions for 1 images"):
        spice([["a"], ["b"]], [[["a"]]])
    with pytest.raises(UsageError, match="at least one image"):
        spice([], [])
    with pytest.raises(DataError, match="image number 1 has none"):
        spice([["a"], ["b"]], [[["a"]], []])
