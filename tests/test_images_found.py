"""Files, folders and globs become pictures to read; what is not found is named."""

from pathlib import Path

import pytest

from cutline.images import IMAGE_SUFFIXES, find_images


@pytest.fixture
def album(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        "b.jpg",
        "A.PNG",
        "notes.txt",
        ".hidden.jpg",
        "sub/c.TIF",
        ".cache/d.jpg",
        "empty/x.md",
    ]
    for name in names:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


def test_a_folder_gives_the_pictures_in_and_below_it_sorted_without_hidden_ones(album):
    files, problems = find_images(["."])
    assert [str(file) for file in files] == ["A.PNG", "b.jpg", "sub/c.TIF"]
    assert problems == []


def test_a_file_that_is_named_is_kept_whatever_it_is_called(album):
    assert find_images(["notes.txt", ".hidden.jpg"]).files == [
        Path("notes.txt"),
        Path(".hidden.jpg"),
    ]


def test_each_file_comes_once_where_it_was_first_named(album):
    files, _ = find_images(["sub", "b.jpg", "./sub/../b.jpg", ".", str(album / "A.PNG")])
    assert [str(file) for file in files] == ["sub/c.TIF", "b.jpg", "A.PNG"]


def test_globs_match_files_and_folders(album):
    assert find_images(["*.jpg"]).files == [Path("b.jpg")]
    assert find_images(["**/*.TIF"]).files == [Path("sub/c.TIF")]
    assert find_images([str(album / "s*")]).files == [album / "sub" / "c.TIF"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(album):
    Path("a[1].jpg").touch()
    assert find_images(["a[1].jpg"]).files == [Path("a[1].jpg")]


def test_what_is_not_found_is_named_and_the_rest_is_kept(album):
    files, problems = find_images(["gone.jpg", "b.jpg", "empty", "*.webp", ""])
    assert files == [Path("b.jpg")]
    said = dict(problems)
    assert list(said) == ["gone.jpg", "empty", "*.webp", ""]
    assert said["gone.jpg"].startswith("gone.jpg does not exist; name a picture, a folder or a gl")
    assert said["empty"].startswith("empty holds no pictures; theirs end in .bmp")
    assert said["*.webp"].startswith("*.webp matches nothing")
    assert said[""].startswith("The empty path does not exist")


def test_no_paths_give_no_files_and_no_problems():
    assert find_images(iter([])) == ([], [])


def test_suffixes_are_lower_case_with_their_dot():
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in IMAGE_SUFFIXES)
