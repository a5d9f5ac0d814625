"""A results file is whole or absent, and what is not is cut back and done over."""

import json
import os
import resource
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

from cutline.errors import DataError, UsageError
from cutline.results import FORMATS, ResultsFile, Row, read_rows, recognise
from support.stand_in import made_up

FORMS = ["text", "jsonl", "csv", "coco"]
ODD = [
    "plain.jpg",
    "new\nline.jpg",
    "tab\tcr\r.jpg",
    "ls\u2028nel\x85vt\x0bff\x0c.jpg",
    "escape\x1b[31m\u202e.jpg",
    os.fsdecode(b"latin\xe9 \xff.jpg"),
    "\\udcff \\n \\\\n back\\slash\\.jpg",
    'quo"te, comma.jpg',
    " spaces \u00a0.jpg",
    "\u718a \U0001f43b.jpg",
]


def row(image, caption="a bus \u718a"):
    return Row(Path(image), made_up(caption), "m")


def write(path, form, images, *, resume=False, force=False, stop_after=None):
    """Caption `images` as the command does; return how many were done, and the notes."""
    paths = [Path(image) for image in images]
    with ResultsFile.open(path, FORMATS[form](), paths, resume=resume, force=force) as output:
        for image in paths[:stop_after]:
            if not output.has(image):
                output.write(row(image))
        return output.rows, output.notes


def images_in(path):
    return [one.image for one in read_rows(path)]


@contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_anywhere_is_gone_on_with_to_the_same_rows(tmp_path, form):
    images = ["a/plain.jpg", "a/new\nline, \u718a.jpg", "a/c.jpg"]
    out = tmp_path / "out"
    write(out, form, images)
    whole = out.read_bytes()
    for end in range(0, len(whole), 2):
        out.write_bytes(whole[:end])
        write(out, form, images, resume=True)
        assert out.read_bytes().rstrip() == whole.rstrip(), whole[:end]


@pytest.mark.parametrize("form", FORMS)
def test_a_last_row_that_is_not_whole_is_done_over_and_said(tmp_path, form):
    out = tmp_path / "out"
    write(out, form, ["a.jpg", "b.jpg"])
    out.write_bytes(out.read_bytes()[:-9])
    done, notes = write(out, form, ["a.jpg", "b.jpg"], resume=True)
    assert (done, images_in(out)) == (1, ["a.jpg", "b.jpg"])
    assert "cut back to its last whole row" in notes[0]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_whole_after_each_row(tmp_path, form):
    out = tmp_path / "out"
    with ResultsFile.open(out, FORMATS[form](), [], resume=False, force=False) as output:
        assert not out.exists()
        for done, name in enumerate(["a.jpg", "b.jpg", "c.jpg"], start=1):
            output.write(row(name))
            assert len(images_in(out)) == done
            if form == "coco":
                assert len(json.loads(out.read_text())) == done


@pytest.mark.parametrize("form", FORMS)
def test_any_name_is_written_read_back_and_known_again(tmp_path, form):
    out = tmp_path / "out"
    assert write(out, form, ODD)[0] == len(ODD)
    assert images_in(out) == ODD
    assert write(out, form, ODD, resume=True)[0] == 0
    assert b"\x1b" not in out.read_bytes()
    out.read_text(encoding="utf-8")


def test_a_row_of_text_or_json_is_one_line_to_whoever_splits_it(tmp_path):
    for form in ("text", "jsonl"):
        write(tmp_path / form, form, ODD)
        assert len((tmp_path / form).read_text().splitlines()) == len(ODD)


@pytest.mark.parametrize("form", FORMS)
def test_an_older_file_is_there_until_the_first_row_of_a_new_one_is(tmp_path, form):
    out = tmp_path / "out"
    out.write_text("the old")
    write(out, form, ["a.jpg"], force=True, stop_after=0)
    assert out.read_text() == "the old"
    write(out, form, ["a.jpg", "b.jpg"], force=True, stop_after=1)
    assert images_in(out) == ["a.jpg"]
    write(out, form, ["a.jpg", "b.jpg"], resume=True)
    assert images_in(out) == ["a.jpg", "b.jpg"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_second_writer_is_told_of_the_first(tmp_path):
    out = tmp_path / "out"
    with ResultsFile.open(out, FORMATS["text"](), [], resume=False, force=False) as output:
        output.write(row("a.jpg"))
        (tmp_path / "link").symlink_to(out)
        for path in (out, tmp_path / "link"):
            for options in ({"resume": True}, {"force": True}):
                with pytest.raises(UsageError, match=rf"another process \({os.getpid()}\); wait"):
                    write(path, "text", ["b.jpg"], **options)
        write(tmp_path / "other", "text", ["a.jpg"])
    assert images_in(out) == ["a.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "other", "out"]
    assert write(out, "text", ["b.jpg"], resume=True)[0] == 1


def test_a_file_that_somebody_made_meanwhile_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    with ResultsFile.open(out, FORMATS["text"](), [], resume=False, force=False) as output:
        out.write_text("theirs")
        with pytest.raises(UsageError, match="exists and is not overwritten"):
            output.write(row("a.jpg"))
    assert out.read_text() == "theirs"


def test_a_user_without_a_home_or_a_cache_to_write_to_still_has_locks(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "file" / "below"))
    assert write(tmp_path / "out", "text", ["a.jpg"])[0] == 1
    assert (tmp_path / "temporary").is_dir()

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("CUTLINE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert write(tmp_path / "out", "text", ["b.jpg"], resume=True)[0] == 1


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda out: out.unlink(), "was deleted while captions were written to it; 2 of this run"),
        (lambda out: out.rename(out.with_name("moved")), "was deleted"),
        (lambda out: (out.unlink(), out.write_text("x")), "was replaced by another program"),
        (lambda out: out.write_bytes(out.read_bytes() + b"x\ty\n"), "was changed by another prog"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_file_deleted_or_changed_while_it_is_written_is_told(tmp_path, harm, sentence, last):
    out = tmp_path / "out"

    def caption():
        with ResultsFile.open(out, FORMATS["text"](), [], resume=False, force=False) as output:
            output.write(row("a.jpg"))
            output.write(row("b.jpg"))
            harm(out)
            if not last:
                output.write(row("c.jpg"))

    with pytest.raises(DataError, match=sentence):
        caption()


@pytest.mark.parametrize("form", FORMS)
def test_a_disk_that_is_full_at_any_row_leaves_whole_rows(tmp_path, form):
    images = ["a.jpg", "b.jpg", "c.jpg"]
    write(tmp_path / "all", form, images)
    whole, out = (tmp_path / "all").read_bytes(), tmp_path / "out"
    for size in range(0, len(whole), 13):
        with largest_file(size), pytest.raises(UsageError, match=r"out cannot be written \(File "):
            write(out, form, images)
        assert {path.name for path in tmp_path.iterdir()} <= {"all", "out"}
        done = images_in(out) if out.exists() else []
        assert done == images[: len(done)]
        write(out, form, images, resume=True)
        assert out.read_bytes() == whole
        out.unlink()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Dear diary,\ntoday I bought a camera.\n", "other text"),
        ("Dear diary", "other text"),
        ("a\tb\tc\n", "other text"),
        ('{"annotations": [{"image_id": 1, "caption": "a bus"}]}', "COCO annotations"),
        ('{"name": "x"}\n', "other JSON"),
        ("[1, 2, 3]", "other JSON"),
        ("\x00\x01binary", "no text"),
        ("image,caption,rating\nx.jpg,a bus,5\n", "other text"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_kind_and_untouched(
    tmp_path, form, content, found
):
    out = tmp_path / "out"
    out.write_text(content)
    with pytest.raises(DataError, match=f"holds {found}, no captions in the format {form}"):
        write(out, form, ["a.jpg"], resume=True)
    assert out.read_text() == content


@pytest.mark.parametrize("asked", FORMS)
@pytest.mark.parametrize("there", FORMS)
def test_captions_in_another_format_are_refused_with_the_format_to_ask_for(tmp_path, asked, there):
    out = tmp_path / "out"
    write(out, there, ["a.jpg"])
    before = out.read_bytes()
    assert recognise(out) == there
    if asked != there:
        with pytest.raises(DataError, match=f"add --format {there} to go on"):
            write(out, asked, ["b.jpg"], resume=True)
        assert out.read_bytes() == before


def test_a_foreign_table_is_refused_by_its_columns(tmp_path):
    out = tmp_path / "captions.csv"
    out.write_text("image,caption\nx.jpg,a bus\n")
    with pytest.raises(DataError, match="a table with the columns image,caption, no captions"):
        write(out, "csv", ["a.jpg"], resume=True)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("jsonl", '{"image": "a.jpg", "caption": "x"}\n{"image": "b.j{"image": "c.jpg"}\n'),
        ("text", "a.jpg\tx\nb.jpg\ty\tz\n"),
        ("csv", 'image,caption,confidence,model\na.jpg,"x,1,m\nb.jpg,y,1,m\n'),
        ("coco", '[{"image_id": 1, "caption": "x"}, {"image_id": 2, {"image_id": 3, "caption'),
    ],
)
def test_damage_in_the_middle_is_refused_and_no_row_after_it_cut_off(tmp_path, form, content):
    out = tmp_path / "out"
    out.write_text(content)
    with pytest.raises(DataError):
        write(out, form, ["c.jpg"], resume=True)
    assert out.read_text() == content


def test_a_csv_without_the_column_unsure_is_gone_on_with_as_it_is(tmp_path):
    out = tmp_path / "out"
    out.write_bytes(b"image,caption,confidence,model\r\na.jpg,a bus,0.5,m\r\n")
    assert write(out, "csv", ["a.jpg", "b.jpg"], resume=True)[0] == 1
    assert out.read_text().splitlines()[2] == "b.jpg,a bus \u718a,0.7500,m"


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_file_may_be_gone_on_with(tmp_path, form):
    (tmp_path / "out").touch()
    assert write(tmp_path / "out", form, ["a.jpg"], resume=True)[0] == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_known_however_its_path_is_spelled(tmp_path, monkeypatch, form):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg"):
        (photos / name).touch()
    (tmp_path / "link").symlink_to(photos)
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    write(out, form, ["photos/a.jpg", "photos/b.jpg"])
    spellings = ["./photos/a.jpg", photos / "b.jpg", "link/a.jpg", "photos/sub/../b.jpg"]
    assert write(out, form, spellings, resume=True)[0] == 0
    monkeypatch.chdir(photos)
    assert write(out, form, ["a.jpg", "../photos/b.jpg"], resume=True)[0] == 0
    (tmp_path / "photos" / "soft.jpg").symlink_to(photos / "a.jpg")
    assert write(out, form, ["soft.jpg"], resume=True)[0] == 1  # a name of its own


def test_a_relative_row_is_of_a_picture_here_before_one_beside_the_file(tmp_path, monkeypatch):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").touch()
    monkeypatch.chdir(tmp_path / "here")
    out = tmp_path / "there" / "out"
    write(out, "text", ["a.jpg"])
    assert write(out, "text", ["a.jpg", "../there/a.jpg"], resume=True)[0] == 1


def ids(out):
    return [entry["image_id"] for entry in json.loads(out.read_text())]


def test_pictures_with_one_number_or_name_have_ids_of_their_own(tmp_path):
    out = tmp_path / "out"
    images = ["a/7.jpg", "b/0007.png", "a/x.jpg", "b/x.jpg", "a/8.jpg", "a/COCO_val2014_7.jpg"]
    _, notes = write(out, "coco", images)
    assert ids(out) == ["a/7.jpg", "b/0007.png", "a/x.jpg", "b/x.jpg", 8, "a/COCO_val2014_7.jpg"]
    assert notes == ["5 pictures share a number or name; their image_id is their path."]


def test_a_resumed_coco_file_gives_no_id_twice_and_leaves_nobody_out(tmp_path):
    out = tmp_path / "out"
    write(out, "coco", ["a/7.jpg"])
    write(out, "coco", ["b/7.jpg"], resume=True)
    assert write(out, "coco", ["a/7.jpg", "b/7.jpg", "c/7.jpg"], resume=True)[0] == 1
    assert ids(out) == [7, "b/7.jpg", "c/7.jpg"]


def test_rows_of_a_coco_file_without_paths_are_known_by_their_ids_or_refused(tmp_path):
    out = tmp_path / "out"
    out.write_text('[{"image_id": 7, "caption": "x"}, {"image_id": "y.jpg", "caption": "x"}]')
    with pytest.raises(DataError, match="image_id 7 may be of any of 2 pictures"):
        write(out, "coco", ["a/7.jpg", "b/7.jpg"], resume=True)
    assert write(out, "coco", ["a/7.jpg", "a/y.jpg", "a/z.jpg"], resume=True)[0] == 1
    assert ids(out) == [7, "y.jpg", "z.jpg"]


def test_whether_a_captioner_was_unsure_is_in_every_format(tmp_path):
    for form in FORMS:
        out = tmp_path / form
        with ResultsFile.open(out, FORMATS[form](), [], resume=False, force=False) as output:
            output.write(Row(Path("a.jpg"), made_up("a bus", unsure=True), "m"))
        [stored] = read_rows(out)
        assert (stored.caption, stored.unsure) == ("a bus", True), form


@pytest.mark.parametrize("form", FORMS)
def test_a_caption_never_breaks_its_row(tmp_path, form):
    caption = "a\nbus\t\x1b[2J\r\u2028 \\n"
    with ResultsFile.open(tmp_path / "x", FORMATS[form](), [], resume=False, force=False) as output:
        output.write(row("a.jpg", caption))
        output.write(row("b.jpg", caption))
    assert [one.caption for one in read_rows(tmp_path / "x")] == [caption] * 2


def test_a_folder_for_temporary_files_that_is_not_ours_is_not_used(tmp_path, monkeypatch):
    places = import_module("cutline.results.places")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr(places, "_folders", lambda: iter([tmp_path / "link", tmp_path / "own"]))
    assert places.kept_for(tmp_path / "a.jsonl", "locks").is_relative_to(tmp_path / "own")
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0
    assert list((tmp_path / "real").iterdir()) == []
