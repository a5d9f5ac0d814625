"""`cutline score`, as a person meets it."""

import csv
import json
from pathlib import Path

import pytest

from cutline.cli.figures import compared_rows
from cutline.metrics import Comparison, Difference, score
from support.terminal import cutline

TRUTHS = {str(n): [f"a red bus near tree {n}", f"bus number {n}"] for n in range(6)}
AWKWARD = [
    "a red\rbus",
    "a\x0bred\x0cbus",
    "a red\u0085bus",
    "a red\u2028bus",
    "a red \U0001f600 bus",
    "a ||| red ||| bus",
    '"a red bus"',
    ".",
    "",
    "bus " * 10_000,
    "a red \ud83d bus",
    "\udc00",
    "a <unk> bus",
]


@pytest.fixture
def files(tmp_path: Path):
    captions = [{"image_id": n, "caption": f"a red bus {n}"} for n in range(6)]
    (tmp_path / "a.json").write_text(json.dumps(captions))
    (tmp_path / "b.json").write_text(json.dumps(dict.fromkeys(TRUTHS, "two dogs")))
    (tmp_path / "truths.json").write_text(json.dumps(TRUTHS))
    return tmp_path


@pytest.fixture
def without_java(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("CUTLINE_SPICE", raising=False)


def test_without_java_the_rest_is_scored_and_one_line_says_what_was_not(files, without_java):
    done = cutline("score", files / "a.json", files / "truths.json")
    assert done.returncode == 0
    assert "BLEU+ROUGE-L+CIDEr|images:6|refs:2-2" in done.stdout
    said = done.stderr.splitlines()
    assert [line.split(":")[0] for line in said] == [
        "METEOR was not computed",
        "SPICE was not computed",
    ]
    assert "Java" in said[0]


def test_nothing_but_what_cannot_be_computed_is_an_error(files, without_java):
    done = cutline("score", files / "a.json", files / "truths.json", "--metrics", "METEOR")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "METEOR was not computed: " in done.stderr


def test_figures_go_into_files_that_are_never_overwritten(files, without_java):
    words = ["score", files / "a.json", files / "truths.json"]
    words += ["--json", files / "out.json", "--per-image", files / "out.csv", "--bootstrap", "50"]
    assert cutline(*words).returncode == 0
    found = json.loads((files / "out.json").read_text())
    low, high = found["intervals"]["CIDEr"]
    assert low <= found["corpus"]["CIDEr"] <= high
    assert set(found["skipped"]) == {"METEOR", "SPICE"}
    rows = list(csv.DictReader((files / "out.csv").read_text().splitlines()))
    assert [row["image_id"] for row in rows] == list(TRUTHS)
    assert float(rows[2]["CIDEr"]) == found["per_image"]["2"]["CIDEr"]
    again = cutline(*words)
    assert again.returncode == 2
    assert "exists and is not overwritten" in again.stderr
    assert again.stdout == ""
    assert cutline(*words, "--force").returncode == 0


def test_two_systems_are_compared(files, without_java):
    done = cutline("score", files / "a.json", files / "truths.json", "--against", files / "b.json")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if "BLEU-1" in line)
    assert "+1.0000" in line
    assert line.rstrip("│ ").endswith("*")


def test_novelty_is_told_where_training_captions_are_given(files, without_java):
    (files / "training.json").write_text(json.dumps({"x": ["A red bus 1.", "a dog"]}))
    done = cutline(
        "score", files / "a.json", files / "truths.json", "--training", files / "training.json"
    )
    line = next(line for line in done.stdout.splitlines() if "training captions" in line)
    assert "0.8333" in line


def test_an_awkward_caption_changes_no_other_image(files, without_java):
    truths = {str(n): ["a red bus", "a red bus here"] for n in range(2 * len(AWKWARD))}
    plain = dict.fromkeys(truths, "a red bus here")
    mixed = {n: AWKWARD[int(n) // 2] if int(n) % 2 else plain[n] for n in truths}
    (files / "awkward.json").write_text(
        json.dumps([{"image_id": n, "caption": text} for n, text in mixed.items()])
    )
    (files / "many.json").write_text(json.dumps(truths))
    done = cutline(
        "score", files / "awkward.json", files / "many.json", "--json", files / "awkward_out.json",
        "--per-image", files / "awkward.csv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((files / "awkward_out.json").read_text())["per_image"]
    figures = [(row["BLEU-1"], row["ROUGE-L"]) for n, row in rows.items() if not int(n) % 2]
    assert figures == [pytest.approx((1, 1))] * len(AWKWARD)
    for number in (0, 1, 2, 3, 4, 6):  # the same words as without the odd character
        assert rows[str(2 * number + 1)]["BLEU-1"] == pytest.approx(1)


def test_a_wrong_word_is_answered_with_what_is_allowed(files):
    done = cutline("score", files / "a.json", files / "truths.json", "--metrics", "CIDRE")
    assert done.returncode == 2
    assert "no metric 'CIDRE'; did you mean 'CIDEr'?" in done.stderr
    done = cutline("score", files / "nothing.json", files / "truths.json")
    assert done.returncode == 2
    assert "nothing.json cannot be read: No such file" in done.stderr


def test_systems_are_compared_by_image_however_each_names_it(files, without_java):
    lines = (f"photos/COCO_val2014_{n:012}.jpg\tperhaps: two dogs" for n in range(5, -1, -1))
    (files / "b.txt").write_text("\n".join(lines) + "\n")
    words = ["score", files / "a.json", files / "truths.json", "--against"]
    done, same = (cutline(*words, files / other) for other in ("b.txt", "b.json"))
    assert done.returncode == 0
    assert done.stdout.replace("b.txt ", "b.json") == same.stdout
    assert "Images are matched by image id, by number." in done.stderr
    assert "'perhaps:' before 6 unsure captions is no word of it" in done.stderr


def test_systems_without_a_common_image_are_not_compared(files, without_java):
    for name, number in (("c", 0), ("d", 1)):
        (files / f"{name}.json").write_text(json.dumps({str(number): "a bus"}))
    words = ["score", files / "c.json", files / "truths.json", "--against", files / "d.json"]
    done = cutline(*words, "--allow", "missing")
    assert done.returncode == 2
    assert "have captions of no image in common" in done.stderr


def test_what_is_read_is_never_written_over(files, without_java):
    before = (files / "a.json").read_bytes()
    words = ["score", files / "a.json", files / "truths.json", "--force"]
    for option in ("--json", "--per-image"):
        done = cutline(*words, option, files / "." / "a.json")
        assert done.returncode == 2
        assert "would be written over what is read" in done.stderr
    done = cutline(*words, "--json", files / "x", "--per-image", files / "x")
    assert done.returncode == 2
    assert (files / "a.json").read_bytes() == before
    assert not (files / "x").exists()
    (files / "album").mkdir()
    (files / "album" / "1.txt").write_text("a bus")
    words[1] = files / "album"
    done = cutline(*words, "--allow", "missing", "--json", files / "album" / "1.txt")
    assert done.returncode == 2
    assert (files / "album" / "1.txt").read_text() == "a bus"


def test_training_captions_may_be_any_file_and_are_read_before_anything_is_scored(files):
    words = ["score", files / "a.json", files / "truths.json", "--metrics", "BLEU", "--training"]
    (files / "training.csv").write_text("image;text\nx.jpg;A red bus 1.\nx.jpg;a dog\n")
    done = cutline(*words, files / "training.csv")
    line = next(line for line in done.stdout.splitlines() if "training captions" in line)
    assert "0.8333" in line
    (files / "training.csv").write_text("a dog\n")
    done = cutline(*words, files / "training.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "names no images" in done.stderr


@pytest.mark.parametrize(
    ("low", "high", "starred"),
    [
        (0.0001, 0.2, True),
        (-0.2, -0.0001, True),
        (0.0, 0.2, False),
        (-0.2, 0.0, False),
        (0.00004, 0.2, False),
        (-0.2, -0.00004, False),
        (-0.1, 0.1, False),
    ],
)
def test_an_interval_that_touches_zero_as_printed_has_no_star(low, high, starred):
    made = score({"a": "a kite"}, {"a": ["a kite"]}, ["ROUGE-L"])
    difference = {"ROUGE-L": Difference(0.1, low, high)}
    row = compared_rows(Comparison(made, made, difference), ["a", "b"])[1]
    assert row[-1].endswith(" *") == starred
    assert "-0.0000" not in row[-1]
