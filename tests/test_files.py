"""Files are whole or not there, and what is printed cannot command a terminal."""

import os
import stat

import pytest

from cutline.errors import UsageError
from cutline.files import check_free, check_not_read, printable, write_text, written

LONGEST = "n" * 251 + ".txt"  # 255 bytes, as long as a name may be


def raise_after_half(draft):
    draft.write_text("half")
    raise ZeroDivisionError


def test_a_writer_that_fails_leaves_the_old_file_and_no_draft(tmp_path):
    path = tmp_path / "x.html"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written(path) as draft:
        raise_after_half(draft)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_a_sentence(tmp_path):
    with (
        pytest.raises(UsageError, match=r"x\.html cannot be written \(No space left on device\)"),
        written(tmp_path / "x.html"),
    ):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", [LONGEST, "a b.txt", "caf\xe9.txt", os.fsdecode(b"caf\xe9.txt")])
def test_any_name_that_a_file_may_have_is_written(name, tmp_path):
    write_text(tmp_path / "new" / name, "text \udcff\n")
    assert (tmp_path / "new" / name).read_bytes() == b"text \\udcff\n"


def test_an_older_file_is_kept_or_replaced_as_asked(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(UsageError, match="exists and is not overwritten; give another name, or -"):
        write_text(path, "new", overwrite=False)
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link_to_what_was_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x.txt").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "store" / "x.txt")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "store" / "x.txt").read_text() == "new"


def test_a_folder_and_a_place_below_a_file_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a folder; give the name of a file in it"):
        check_free(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="file is a file, not a folder"):
        check_free(tmp_path / "file" / "below" / "x", overwrite=True)
    check_free(None, tmp_path / "new" / "x", overwrite=False)
    assert not (tmp_path / "new").exists()


def test_a_device_a_pipe_and_a_name_that_is_too_long_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/null", tmp_path / "fifo"):
        with pytest.raises(UsageError, match="is a device or a pipe, not a file"):
            check_free(path, overwrite=True)
    with pytest.raises(UsageError, match=r"\(File name too long\); give a shorter name"):
        check_free(tmp_path / f"{LONGEST}x", overwrite=True)


def test_what_may_not_be_written_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="may not be written \\(read-only\\)"):
        check_free(tmp_path / "x", overwrite=True)
    with pytest.raises(UsageError, match="nothing may be written in"):
        check_free(tmp_path / "new" / "x", overwrite=True)


def test_a_file_that_is_read_is_known_by_every_name(tmp_path):
    photo = tmp_path / "folder" / "photo.jpg"
    photo.parent.mkdir()
    photo.touch()
    os.link(photo, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(photo)
    for name in ("hard", "soft", "folder/photo.jpg"):
        for inputs in ([tmp_path / "gone", photo], [photo.parent]):
            with pytest.raises(UsageError, match=r"photo\.jpg, which is read here"):
                check_not_read(tmp_path / name, inputs)
    check_not_read(tmp_path / "new", [photo])
    check_not_read(None, [photo])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, caf\xe9, \u718a, \U0001f468\u200d\U0001f469", None),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\rb\nc\td\x85e\u2028f", r"a\rb\nc\td\x85e\u2028f"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("half \udcff", r"half \udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == (text if shown is None else shown)
