"""Word vectors as text: what is read, what is passed over, and what is refused."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cutline.errors import DataError, UsageError
from cutline.vectors import read_vectors, vector_size

GLOVE = """the 0.1 0.2 0.3
dog -1 2e-1 .5
cat 1 2 3
"""


def write(folder: Path, text: str, name: str = "vectors.txt") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(folder: Path, text: str, *words: str, size: int = 3):
    found, malformed = read_vectors(write(folder, text), words, size=size)
    return {word: vector.tolist() for word, vector in found.items()}, malformed


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_the_words_that_are_asked_for_are_found(tmp_path, name):
    path = write(tmp_path, GLOVE, name)
    assert vector_size(path) == 3
    found, malformed = read_vectors(path, ["dog", "cat", "cow"], size=3)
    assert found.keys() == {"dog", "cat"}
    assert found["dog"] == pytest.approx([-1, 0.2, 0.5])
    assert found["dog"].dtype == np.float32
    assert malformed == []


def test_the_first_line_of_word2vec_is_no_word(tmp_path):
    path = write(tmp_path, "3 2\n3 0.5 0.25 \ndog 1 2 \n")
    assert vector_size(path) == 2
    found, malformed = read_vectors(path, ["3", "dog"], size=2)
    assert found["3"].tolist() == [0.5, 0.25]
    assert malformed == []


def test_words_with_spaces_inside_are_passed_over(tmp_path):
    text = ". . . 1 2 3\nat name@domain.com 4 5 6\nat 7 8 9\n1 2/3 1 1 1\n1 2 2 2\n"
    found, malformed = read(tmp_path, text, "at", ".", "1")
    assert found == {"at": [7, 8, 9], "1": [2, 2, 2]}
    assert malformed == []


def test_the_size_is_that_of_most_lines(tmp_path):
    assert vector_size(write(tmp_path, ". . . 1 2 3\n" + GLOVE)) == 3


def test_of_two_vectors_of_a_word_the_first_is_taken(tmp_path):
    assert read(tmp_path, GLOVE + "dog 9 9 9\n", "dog")[0]["dog"][1] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "text",
    ["the\t0.1\t0.2\t0.3\ndog\t-1\t2\t3\n", "the 0.1 0.2 0.3\r\ndog -1 2 3\r\n", "dog -1 2 3"],
    ids=["tabs", "Windows", "no last line end"],
)
def test_white_space_may_be_of_any_kind(tmp_path, text):
    assert vector_size(write(tmp_path, text)) == 3
    assert read(tmp_path, text, "dog") == ({"dog": [-1, 2, 3]}, [])


def test_words_are_compared_letter_by_letter_in_utf_8(tmp_path):
    text = "Dog 1 2 3\nno\u00a0break 1 1 1\nkäse 4 5 6\n"
    found, malformed = read(tmp_path, text, "dog", "käse", "no\u00a0break")
    assert found == {"käse": [4, 5, 6], "no\u00a0break": [1, 1, 1]}
    assert malformed == []


def test_malformed_lines_are_left_out_and_numbered(tmp_path):
    lines = ["the 1 2 3", "short 1 2", "", "dog 1 x 3", "cat 1 2 3 4", "alone", "cow 1 2 3"]
    found, malformed = read(tmp_path, "\n".join(lines), "the", "dog", "cat", "cow", "short")
    assert found.keys() == {"the", "cow"}
    assert malformed == [2, 4, 5, 6]


@pytest.mark.parametrize("number", ["nan", "NaN", "inf", "-inf", "1e999"])
def test_a_number_that_is_not_finite_is_refused(tmp_path, number):
    with pytest.raises(DataError, match=r"vectors\.txt, line 4: the vector of 'cow' has a number"):
        read(tmp_path, f"{GLOVE}cow 1 {number} 3\n", "cow")
    assert read(tmp_path, f"{GLOVE}cow 1 {number} 3\n", "dog")[0]  # nobody asked for cows


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("v.txt", b"", "holds no word vectors; give a text file with a word and its numbers on "),
        ("v.txt", b"\n\n", "holds no word vectors"),
        ("v.txt", b"words\nwithout\nnumbers\n", "holds no word vectors"),
        ("v.zip", b"PK\x03\x04...", "is a zip archive; unzip it, and give a .txt file of it"),
        ("v.bin", b"\x00" * (1 << 20), "has a line of more than 1,048,576 bytes; give a text fil"),
        ("v.txt.gz", gzip.compress(GLOVE.encode() * 9)[:30], "cannot be read"),
        ("v.txt.gz", b"\x1f\x8bnothing that was ever compressed", "cannot be read"),
    ],
    ids=["empty", "blank", "only words", "zip", "binary", "cut off", "damaged"],
)
def test_what_holds_no_vectors_is_refused(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        vector_size(path)


def test_a_file_that_is_not_there_is_answered_with_what_to_type(tmp_path):
    with pytest.raises(UsageError, match=r"no file .*gone\.txt of word vectors; give words\.vect"):
        vector_size(tmp_path / "gone.txt")
    with pytest.raises(DataError, match="cannot be read \\(Is a directory\\)"):
        vector_size(tmp_path)


def test_a_file_cut_off_behind_its_beginning_is_refused(tmp_path):
    rows = np.random.default_rng(0).normal(size=(5000, 3))
    text = "".join(f"w{n} {a} {b} {c}\n" for n, (a, b, c) in enumerate(rows))
    path = write(tmp_path, text, "v.txt.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    assert vector_size(path) == 3
    with pytest.raises(DataError, match="cannot be read"):
        read_vectors(path, ["w1"], size=3)


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz"])
def test_memory_does_not_grow_with_the_file_and_progress_reaches_its_end(tmp_path, name):
    line = " 0.12345" * 100
    path = write(tmp_path, "".join(f"w{n}{line}\n" for n in range(10_000)), name)
    told: list[int] = []
    tracemalloc.start()
    found, _ = read_vectors(path, ["w1", "w9999"], size=100, advance=told.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 2
    assert peak < 500_000  # of 8 MB
    assert sum(told) == max(1, path.stat().st_size // 1_000_000)
