"""Sidecars: each picture has its own, and nobody's file is taken for one or written over."""

import json
import os
import threading
from pathlib import Path

import pytest

from cutline.errors import UsageError
from cutline.results import Existing, Row, Sidecars, sidecar_kinds
from support.stand_in import made_up

OVERWRITE = Existing.OVERWRITE
LONG = "n" * 251 + ".jpg"


def pictures(folder, *names):
    folder.mkdir(exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(b"picture")
    return paths


def caption(images, kinds="txt", inputs=(), **options):
    """Write sidecars as the command does; return the planner, and what went wrong."""
    options = {"resume": False, **options}
    beside = Sidecars(sidecar_kinds(kinds), images, inputs, **options)
    faults = [fault for each in beside.faults.values() for fault in each]
    for image in images:
        if not beside.done(image):
            faults += beside.write(Row(image, made_up(f"of {image.name}"), "m"))
    return beside, faults


def texts(folder):
    return {path.name: path.read_text() for path in folder.glob("*.txt")}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a.jpg", "a.png"], ["a.txt", "a.png.txt"]),
        (["IMG_1.jpg", "IMG_1.JPG"], ["IMG_1.txt", "IMG_1.JPG.txt"]),
        (
            ["2024.01.15 14.30", "2024.01.15 14.45"],
            ["2024.01.15 14.30.txt", "2024.01.15 14.45.txt"],
        ),
        (["a.jpg", "a"], ["a.jpg.txt", "a.txt"]),
        (["a.jpg", "a.png", "a.webp"], ["a.txt", "a.png.txt", "a.webp.txt"]),
        ([".jpg", "x.y.jpg"], [".jpg.txt", "x.y.txt"]),
    ],
)
def test_each_picture_has_a_sidecar_of_its_own(tmp_path, names, wanted):
    images = pictures(tmp_path / "p", *names)
    assert caption(images)[1] == []
    assert texts(tmp_path / "p") == {
        name: f"of {image.name}\n" for name, image in zip(wanted, images, strict=True)
    }
    again, faults = caption(images, resume=True)
    assert faults == []
    assert all(again.done(image) for image in images)


def test_a_sidecar_stays_its_pictures_whichever_pictures_come_later(tmp_path):
    [png] = pictures(tmp_path / "p", "a.png")
    caption([png])
    [jpg] = pictures(tmp_path / "p", "a.jpg")
    for options in ({"resume": True}, {"existing": OVERWRITE}):
        beside, faults = caption([jpg], **options)
        assert (faults, texts(tmp_path / "p")["a.txt"]) == ([], "of a.png\n")
    assert texts(tmp_path / "p")["a.jpg.txt"] == "of a.jpg\n"
    beside, _ = caption([jpg, png], resume=True)
    assert beside.done(jpg)
    assert beside.done(png)


def test_a_text_of_the_users_is_no_caption_and_stays(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg", "b.jpg")
    for text in ("my own words", "my own words\n", ""):
        (tmp_path / "p" / "a.txt").write_text(text)
        beside, [fault] = caption(images, resume=True)
        assert "a.txt is not known as a caption of" in fault
        assert not beside.done(images[0])
        assert texts(tmp_path / "p") == {"a.txt": text, "b.txt": "of b.jpg\n"}
    assert caption(images, existing=OVERWRITE)[1] == []
    assert texts(tmp_path / "p")["a.txt"] == "of a.jpg\n"


def test_a_caption_that_the_user_mended_counts_as_done(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg")
    caption(images, "txt,json")
    (tmp_path / "p" / "a.txt").write_text("mended")
    assert caption(images, "txt,json", resume=True)[0].done(images[0])
    assert texts(tmp_path / "p")["a.txt"] == "mended"


def test_a_json_says_itself_whose_it_is(tmp_path, monkeypatch):
    images = pictures(tmp_path / "p", "a.jpg")
    caption(images, "txt,json")
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "another"))
    assert caption(images, "txt,json", resume=True)[0].done(images[0])
    for foreign in ('{"title": "IMG", "geoData": {}}', "{", "[]", '{"image": 1, "caption": "x"}'):
        (tmp_path / "p" / "a.json").write_text(foreign)
        _, [fault] = caption(images, "json", resume=True)
        assert "a.json is not known as a caption" in fault
        assert (tmp_path / "p" / "a.json").read_text() == foreign


def test_what_one_kind_lacks_is_added(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg")
    caption(images, "txt")
    assert caption(images, "txt,json", resume=True)[1] == []
    assert json.loads((tmp_path / "p" / "a.json").read_text())["caption"] == "of a.jpg"


def test_no_sidecar_is_written_to_an_input(tmp_path):
    images = pictures(tmp_path / "p", "scan.txt", "scan.json", "list.jpg", "out.jpg")
    listed, out = tmp_path / "p" / "list.txt", tmp_path / "p" / "out.txt"
    listed.write_text("scan.txt\n")
    beside, faults = caption(images, "txt,json", [listed, out], existing=OVERWRITE)
    assert faults == []
    assert {image.read_bytes() for image in images} == {b"picture"}
    assert listed.read_text() == "scan.txt\n"
    assert not out.exists()
    written = {path.name for path in (tmp_path / "p").iterdir()}
    assert written >= {"scan.txt.txt", "scan.txt.json", "scan.json.txt", "list.jpg.txt"}
    assert len(beside.renamed) == 6


def test_an_input_reached_by_a_hard_link_is_no_sidecar(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg")
    os.link(images[0], tmp_path / "p" / "a.txt")
    os.link(images[0], tmp_path / "p" / "a.jpg.txt")
    _, [fault] = caption(images, existing=OVERWRITE)
    assert "a.jpg.txt is read in this run and is not overwritten" in fault
    assert images[0].read_bytes() == b"picture"


def test_two_pictures_for_whom_there_is_one_name_are_a_named_fault(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg", "a.png", "a.png.jpg")
    _, [fault] = caption(images)
    assert "a.png.txt would hold the captions of two pictures; rename" in fault
    assert len(texts(tmp_path / "p")) == 2


def test_a_name_of_255_bytes_fails_alone(tmp_path):
    images = pictures(tmp_path / "p", LONG, "b.jpg")
    _, [fault] = caption(images, "txt,json")
    assert "cannot be written (File name too long); give a shorter name" in fault
    names = {path.name for path in (tmp_path / "p").iterdir()} - {LONG, "b.jpg"}
    assert names == {LONG.replace(".jpg", ".txt"), "b.txt", "b.json"}


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.jpg"), "a\nb.jpg", "l\u2028.jpg"])
def test_pictures_of_any_name_have_sidecars_that_are_known_again(tmp_path, name):
    images = pictures(tmp_path / "p", name)
    assert caption(images, "txt,json")[1] == []
    assert caption(images, "txt,json", resume=True)[0].done(images[0])


def test_two_processes_that_resume_one_folder_lose_nothing(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg", "b.jpg")
    first = Sidecars(["txt"], images, resume=True)
    assert caption(images[:1], resume=True)[1] == []  # the other, meanwhile
    (tmp_path / "p" / "b.txt").write_text("mine")
    faults = [first.write(Row(image, made_up("another"), "m")) for image in images]
    assert faults[0] == []
    assert "b.txt is not known as a caption of" in faults[1][0]
    assert texts(tmp_path / "p") == {"a.txt": "of a.jpg\n", "b.txt": "mine"}


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kind", ["txt", "caption"])
def test_a_text_that_appears_while_ours_is_written_stays_the_users(
    tmp_path, monkeypatch, kind, resume
):
    [image] = pictures(tmp_path / "p", "a.jpg")
    theirs = tmp_path / "p" / f"a.{kind}"
    write_bytes = Path.write_bytes

    def meanwhile(draft, data):
        if not theirs.exists():
            theirs.write_text("mine")
        return write_bytes(draft, data)

    monkeypatch.setattr(Path, "write_bytes", meanwhile)
    [fault] = caption([image], kind, resume=resume)[1]
    assert "is not overwritten" in fault
    [fault] = caption([image], kind, resume=True)[1]
    assert f"a.{kind} is not known as a caption of" in fault
    assert theirs.read_text() == "mine"
    assert caption([image], kind, resume=resume, existing=Existing.SKIP)[1] == []
    assert theirs.read_text() == "mine"
    assert caption([image], kind, resume=resume, existing=OVERWRITE)[1] == []
    assert theirs.read_text() == "of a.jpg\n"


def test_a_text_beside_a_json_of_ours_is_ours_only_where_it_is_its_caption(tmp_path, monkeypatch):
    [image] = pictures(tmp_path / "p", "a.jpg")
    caption([image], "json")
    for text in ("my own words\n", "of a.jpg, and mine\n", ""):
        (tmp_path / "p" / "a.txt").write_text(text)
        [fault] = caption([image], "txt", resume=True)[1]
        assert "a.txt is not known as a caption of" in fault
    caption([image], "txt", existing=OVERWRITE)
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "another"))
    assert caption([image], "txt,json", resume=True)[0].done(image)


def test_two_processes_over_one_folder_know_each_others_sidecars(tmp_path):
    images = pictures(tmp_path / "p", "a.jpg", "b.jpg")
    (tmp_path / "p" / "c.txt").write_text("of nobody")  # both read the list of the folder
    first = Sidecars(["txt"], [*images, *pictures(tmp_path / "p", "c.jpg")], resume=True)
    assert caption(images, resume=True)[1] == []  # the other, meanwhile
    faults = [first.write(Row(image, made_up("another"), "m")) for image in images]
    assert faults == [[], []]
    assert texts(tmp_path / "p")["a.txt"] == "of a.jpg\n"


def test_of_two_that_write_one_sidecar_at_a_time_neither_disowns_the_others(tmp_path, monkeypatch):
    images = pictures(tmp_path / "p", "a.jpg")
    write_bytes, others = Path.write_bytes, []

    def meanwhile(draft, data):
        if not others:  # another process begins to write the same; it may have to wait
            others.append(threading.Thread(target=caption, args=(images,), kwargs={"resume": True}))
            others[0].start()
            others[0].join(timeout=0.5)
        return write_bytes(draft, data)

    monkeypatch.setattr(Path, "write_bytes", meanwhile)
    assert caption(images, resume=True)[1] == []
    others[0].join()
    beside, faults = caption(images, resume=True)
    assert faults == []
    assert beside.done(images[0])


def test_a_disk_that_is_full_leaves_no_drafts(tmp_path, monkeypatch):
    images = pictures(tmp_path / "p", "a.jpg", "b.jpg")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    _, faults = caption(images, "txt,json")
    assert len(faults) == 4
    assert all("No space left on device" in fault for fault in faults)
    assert sorted((tmp_path / "p").iterdir()) == images


def test_a_text_holds_nothing_that_a_terminal_obeys(tmp_path):
    [image] = pictures(tmp_path / "p", "a.jpg")
    beside = Sidecars(["txt"], [image], resume=False)
    beside.write(Row(image, made_up("a\x1b[2J bus"), "m"))
    assert texts(tmp_path / "p")["a.txt"] == "a\\x1b[2J bus\n"


def test_kinds_come_once_and_unknown_ones_are_refused():
    assert sidecar_kinds(" json, txt,,json") == ["json", "txt"]
    with pytest.raises(UsageError, match="did you mean 'txt'"):
        sidecar_kinds("tx")


def test_a_text_that_another_program_writes_meanwhile_stays(tmp_path, monkeypatch):
    image, path = tmp_path / "a.jpg", tmp_path / "a.txt"
    image.touch()
    beside = Sidecars(["txt"], [image], [], resume=False)
    write_bytes = Path.write_bytes

    def meanwhile(draft, data):
        write_bytes(path, b"mine")
        return write_bytes(draft, data)

    monkeypatch.setattr(Path, "write_bytes", meanwhile)
    [fault] = beside.write(Row(image, made_up("a dog"), "m"))
    assert "a.txt" in fault
    assert path.read_bytes() == b"mine"
