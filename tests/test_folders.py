"""Folders are whole or not there, and no old one is lost."""

import os

import pytest

from cutline.errors import UsageError
from cutline.folders import check_free_folder, recovered, written_folder

OWN = ("a.txt", "b.txt")
LONGEST = "n" * 255


def write(folder, text):
    with written_folder(folder, own=OWN) as draft:
        for name in OWN:
            (draft / name).write_text(text)


def fill_the_disk(folder):
    with written_folder(folder, own=OWN) as draft:
        (draft / "a.txt").write_text("half")
        raise OSError(28, "No space left on device")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["x", LONGEST, "caf\xe9", os.fsdecode(b"caf\xe9"), "a b"])
def test_a_folder_takes_the_place_of_an_older_one(tmp_path, name):
    write(tmp_path / "new" / name, "old")
    write(tmp_path / "new" / name, "new")
    assert (tmp_path / "new" / name / "b.txt").read_text() == "new"
    assert names(tmp_path / "new") == [name]


def test_a_full_disk_leaves_the_old_one_and_nothing_else(tmp_path):
    write(tmp_path / "x", "old")
    with pytest.raises(UsageError, match=r"x cannot be written \(No space left on device\)"):
        fill_the_disk(tmp_path / "x")
    assert (tmp_path / "x" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("name", ["x", LONGEST])
def test_a_folder_moved_away_by_a_killed_process_is_found_again(tmp_path, name, monkeypatch):
    from pathlib import Path

    write(tmp_path / name, "old")
    rename = Path.rename

    def killed_before_the_second(path, to):
        if path.name.endswith(".part"):
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", killed_before_the_second)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name, "new")
    monkeypatch.undo()
    assert not (tmp_path / name).exists()
    assert recovered(tmp_path / name) == tmp_path / name
    assert (tmp_path / name / "a.txt").read_text() == "old"
    assert names(tmp_path) == [name]


def test_what_a_process_killed_at_the_end_left_is_cleared(tmp_path):
    write(tmp_path / "x", "new")
    (tmp_path / ".x.old").mkdir()
    (tmp_path / ".x.old" / "a.txt").write_text("old")
    (tmp_path / ".x.old" / "notes").write_text("mine")
    write(tmp_path / "x", "newer")
    assert names(tmp_path) == ["x"]
    assert names(tmp_path / "x") == [*OWN, "notes"]


def test_files_of_other_names_are_kept_and_a_folder_of_other_things_is_not_replaced(tmp_path):
    write(tmp_path / "x", "old")
    (tmp_path / "x" / "notes.txt").write_text("mine")
    write(tmp_path / "x", "new")
    assert (tmp_path / "x" / "notes.txt").read_text() == "mine"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_text("mine")
    with pytest.raises(UsageError, match=r"photos is a folder of other things \(1\.jpg\)"):
        write(tmp_path / "photos", "new")
    assert names(tmp_path / "photos") == ["1.jpg"]


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(UsageError, match="is a file, not a folder; give another place"):
            write(path, "new")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        check_free_folder(tmp_path)
    check_free_folder(tmp_path / "new")


def test_what_a_link_points_to_is_replaced(tmp_path):
    write(tmp_path / "store" / "x", "old")
    (tmp_path / "link").symlink_to(tmp_path / "store" / "x")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "store" / "x" / "a.txt").read_text() == "new"
