"""Files, folders and globs become pictures to read; what is not found is named."""

from pathlib import Path

import pytest
from PIL import features

from cutline.images import IMAGE_SUFFIXES, FoundImages, find_images
from support.pictures import made

pytestmark = pytest.mark.usefixtures("no_heif")


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
    files, problems, _ = find_images(["."])
    assert [str(file) for file in files] == ["A.PNG", "b.jpg", "sub/c.TIF"]
    assert problems == []


def test_a_file_that_is_named_is_kept_whatever_it_is_called(album):
    assert find_images(["notes.txt", ".hidden.jpg"]).files == [
        Path("notes.txt"),
        Path(".hidden.jpg"),
    ]


def test_each_file_comes_once_where_it_was_first_named(album):
    files, *_ = find_images(["sub", "b.jpg", "./sub/../b.jpg", ".", str(album / "A.PNG")])
    assert [str(file) for file in files] == ["sub/c.TIF", "b.jpg", "A.PNG"]


def test_globs_match_files_and_folders(album):
    assert find_images(["*.jpg"]).files == [Path("b.jpg")]
    assert find_images(["**/*.TIF"]).files == [Path("sub/c.TIF")]
    assert find_images([str(album / "s*")]).files == [album / "sub" / "c.TIF"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(album):
    Path("a[1].jpg").touch()
    assert find_images(["a[1].jpg"]).files == [Path("a[1].jpg")]


def test_what_is_not_found_is_named_and_the_rest_is_kept(album):
    files, problems, _ = find_images(["gone.jpg", "b.jpg", "empty", "*.webp", ""])
    assert files == [Path("b.jpg")]
    said = dict(problems)
    assert list(said) == ["gone.jpg", "empty", "*.webp", ""]
    assert said["gone.jpg"].startswith("gone.jpg does not exist; name a picture, a folder or a gl")
    assert said["empty"].startswith("empty holds no pictures; theirs end in .bmp")
    assert said["*.webp"].startswith("*.webp matches nothing")
    assert said[""].startswith("The empty path does not exist")


def test_no_paths_give_no_files_and_no_problems():
    assert find_images(iter([])) == ([], [], [])


def test_suffixes_are_lower_case_with_their_dot():
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in IMAGE_SUFFIXES)


# --- what cannot be read -------------------------------------------------------------------------


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"?")


def test_pictures_that_cannot_be_read_are_counted_in_a_line_by_kind(album):
    touch("sub/IMG_1.HEIC", "sub/deep/IMG_2.heic", "a.jxl", "b.cr2", "c.NEF", "d.psd", "e.svg")
    found = find_images(["."])
    assert [str(file) for file in found.files] == ["A.PNG", "b.jpg", "sub/c.TIF"]
    assert found.problems == []
    assert found.notes == [
        ".: 2 HEIC files were passed over; pip install 'cutline[heic]' reads them.",
        ".: 1 JPEG XL file was passed over; convert it to JPEG or PNG.",
        ".: 1 PSD file was passed over; convert it to JPEG or PNG.",
        ".: 2 RAW files were passed over; convert them to JPEG or PNG.",
        ".: 1 SVG file was passed over; convert it to JPEG or PNG.",
    ]


def test_a_folder_of_nothing_else_says_so_instead_of_being_empty(album):
    touch("phone/1.heic", "phone/2.heic")
    assert find_images(["phone"]) == FoundImages(
        [],
        [
            (
                "phone",
                "phone holds no pictures that can be read here: 2 HEIC files were passed over; "
                "pip install 'cutline[heic]' reads them.",
            )
        ],
        [],
    )


def test_what_is_no_picture_is_not_counted(album):
    touch("film.mp4", "film.mov", "notes.pdf", "photo.jpg.txt", "a.xmp", "noname", ".hidden.heic")
    assert find_images(["."]).notes == []


def test_each_folder_asked_for_has_its_own_count(album):
    touch("one/a.jpg", "one/a.heic", "two/b.jpg", "two/b.dng")
    notes = find_images(["one", "two"]).notes
    assert [note.split(" was")[0] for note in notes] == ["one: 1 HEIC file", "two: 1 RAW file"]


def test_a_suffix_of_no_use_is_believed_less_than_the_bytes(album):
    Path("phone.heic").write_bytes(made("jpeg"))  # as some phones export them
    Path("phone.psd").write_bytes(made("png"))
    assert {str(file) for file in find_images(["."]).files} >= {"phone.heic", "phone.psd"}


def test_a_raw_file_is_raw_though_it_begins_as_a_tiff(album):
    Path("camera.nef").write_bytes(made("tiff"))
    assert find_images(["."]).notes == [".: 1 RAW file was passed over; convert it to JPEG or PNG."]


@pytest.mark.parametrize(
    ("suffix", "feature"), [(".avif", "avif"), (".jp2", "jpg_2000"), (".j2k", "jpg_2000")]
)
def test_folders_give_what_the_pillow_at_hand_can_read(album, suffix, feature):
    touch(f"new{suffix}")
    assert (Path(f"new{suffix}") in find_images(["."]).files) == features.check(feature)


def test_the_names_of_folders_and_links_cannot_write_to_a_terminal(album):
    touch("a\x1b[2J\n/x.heic", "a\x1b[2J\n/x.jpg")
    assert find_images(["a\x1b[2J\n"]).notes[0].startswith("a\\x1b[2J\\n: 1 HEIC")


# --- links ---------------------------------------------------------------------------------------


def test_a_link_to_a_folder_is_followed_once(album):
    touch("../elsewhere/x.jpg", "../elsewhere/y.heic")
    Path("m-link").symlink_to("../elsewhere")
    Path("n-link").symlink_to("../elsewhere")
    found = find_images(["."])
    assert [str(file) for file in found.files] == ["A.PNG", "b.jpg", "sub/c.TIF", "m-link/x.jpg"]
    assert found.notes == [".: 1 HEIC file was passed over; pip install 'cutline[heic]' reads it."]


def test_a_folder_comes_by_its_own_name_rather_than_by_a_links(album):
    Path("a-link").symlink_to("sub")
    assert [str(file) for file in find_images(["."]).files] == ["A.PNG", "b.jpg", "sub/c.TIF"]


def test_a_link_to_a_folder_it_lies_in_is_named_and_ends(album):
    Path("sub/loop").symlink_to("..")
    Path("sub/self").symlink_to(".")
    found = find_images(["sub"])
    assert [str(file) for file in found.files] == ["sub/c.TIF"]
    assert found.notes == [
        f"sub/{name} is a link to a folder that it lies in; it was not followed."
        for name in ("loop", "self")
    ]


def test_folders_that_link_to_each_other_come_once(album):
    touch("one/a.jpg", "two/b.jpg")
    Path("one/to").symlink_to("../two")
    Path("two/to").symlink_to("../one")
    assert [str(file) for file in find_images(["one"]).files] == ["one/a.jpg", "one/to/b.jpg"]
    found = find_images(["one", "two"])
    assert len(found.files) == 2
    assert found.problems == []


def test_a_link_that_is_asked_for_is_walked_and_twice_the_same_is_no_fault(album):
    Path("link").symlink_to("sub")
    assert find_images(["link"]).files == [Path("link/c.TIF")]
    assert find_images(["sub", "link"]) == ([Path("sub/c.TIF")], [], [])


def test_links_to_files_are_files_and_broken_ones_are_kept_to_be_named(album):
    Path("sub/d.jpg").symlink_to("../b.jpg")
    Path("sub/e.jpg").symlink_to("gone.jpg")
    assert [file.name for file in find_images(["sub"]).files] == ["c.TIF", "d.jpg", "e.jpg"]


def test_a_folder_that_may_not_be_listed_is_named(album, monkeypatch):
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)  # root may list anything, so chmod would not do
    assert find_images(["sub"]).problems == [("sub", "sub cannot be listed (Permission denied).")]
