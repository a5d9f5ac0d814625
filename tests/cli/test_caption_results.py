"""`cutline caption` and its files: nothing lost, nothing silent, whatever comes between."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from support import stand_in
from support.stand_in import StandIn, said_of
from support.terminal import cutline

FORMS = ["text", "jsonl", "csv", "coco"]
TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with three pictures in `p`."""
    stand_in.use(monkeypatch)
    (tmp_path / "p").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "p" / name)
    return tmp_path


def picture(path):
    draft = path.with_name("draft.png")
    Image.new("RGB", (8, 8), "red").save(draft)
    draft.rename(path)
    return path


def alone(*words, seconds=0.2, **streams):
    """Start the stand-in's command line in a process of its own; so many seconds a picture."""
    settings = {"STAND_IN_SECONDS": str(seconds), "PYTHONPATH": str(TESTS.parent / "src")}
    return subprocess.Popen(
        [sys.executable, TESTS / "support" / "stand_in.py", *map(str, words)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        env={**os.environ, **settings},
    )


def waited(condition):
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


# --- overwriting and inputs ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p/b.png", "hard", "soft", "p/../p/b.png"])
def test_the_captions_never_go_to_a_picture(folder, name):
    os.link("p/b.png", "hard")
    Path("soft").symlink_to("p/b.png")
    before = Path("p/b.png").read_bytes()
    done = cutline("caption", "p", "--out", name, "--force")
    assert done.returncode == 2
    assert "which is read here and not overwritten" in done.stderr
    assert Path("p/b.png").read_bytes() == before
    assert StandIn.loaded == 0


def test_the_captions_never_go_to_the_model_or_to_the_list_of_pictures(folder):
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    done = cutline("caption", "p", "--model", model, "--out", "model/config.json", "--force")
    assert (done.returncode, (model / "config.json").read_text()) == (2, "{}")
    Path("list.txt").write_text("p/a.png\n")
    with Path("list.txt").open() as given:
        process = alone("caption", "-", "--out", "list.txt", "--force", stdin=given)
        _, told = process.communicate(timeout=60)
    assert (process.returncode, Path("list.txt").read_text()) == (2, "p/a.png\n")
    assert b"which is read here" in told


def test_force_keeps_the_old_file_where_nothing_could_be_captioned(folder):
    Path("out").write_text("the old")
    Path("bad.png").write_text("no picture")
    done = cutline("caption", "bad.png", "--out", "out", "--force")
    assert (done.returncode, Path("out").read_text()) == (2, "the old")
    done = cutline("caption", "p", "--model", "nowhere", "--out", "out", "--force")
    assert (done.returncode, Path("out").read_text()) == (2, "the old")
    assert cutline("caption", "p", "--out", "out", "--force").returncode == 0
    assert len(Path("out").read_text().splitlines()) == 3


def test_resume_and_force_are_not_given_together_nor_resume_without_files(folder):
    for words, says in (
        (["--resume", "--force", "--out", "x"], "one of them"),
        (["--resume"], "--"),
    ):
        done = cutline("caption", "p", *words)
        assert (done.returncode, StandIn.loaded) == (2, 0)
        assert says in done.stderr


def test_an_out_that_is_a_sidecar_of_a_picture_is_not_written_twice(folder):
    done = cutline("caption", "p", "--sidecar", "txt", "--out", "p/a.txt")
    assert done.returncode == 0
    assert len(Path("p/a.txt").read_text().splitlines()) == 3
    assert Path("p/a.png.txt").exists()
    assert "because the short one is not free: 1, such as p/a.png.txt." in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["explain", "p/a.png", "--out", "p/a.png"],
        ["evaluate", "model", "--data", "x", "--json", "model/config.json"],
        ["evaluate", "model", "--data", "data.json", "--json", "data.json"],
        ["data", "check", "data.json", "--json", "soft"],
        ["data", "check", "p", "--json", "p/a.png"],
    ],
)
def test_no_command_writes_to_what_it_reads(folder, words):
    (folder / "model").mkdir()
    for name in ("model/config.json", "data.json"):
        Path(name).write_text("mine")
    Path("soft").symlink_to("data.json")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    done = cutline(*words, "--force")
    assert done.returncode == 2
    assert "which is read here and not overwritten" in done.stderr
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("p", "is a folder"),
        ("p/a.png/x", "is a file, not a folder"),
        ("/dev/null", "is a device or a pipe"),
        ("n" * 300, "File name too long"),
        ("fifo", "is a device or a pipe"),
        ("circle", "cannot be written"),
    ],
)
@pytest.mark.parametrize("option", ["--force", "--resume"])
def test_an_out_that_cannot_be_a_file_is_a_sentence_before_any_work(folder, out, says, option):
    os.mkfifo("fifo")
    Path("circle").symlink_to("circle")
    there = sorted(folder.iterdir())
    done = cutline("caption", "p", "--out", out, option)
    assert (done.returncode, StandIn.loaded) == (2, 0)
    [line] = done.stderr.strip().splitlines()
    assert says in line
    assert sorted(folder.iterdir()) == there


def test_a_place_that_may_not_be_written_is_a_sentence_before_any_work(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    monkeypatch.setenv("CUTLINE_CACHE", str(folder / "cache"))
    done = cutline("caption", "p", "--out", "new/out")
    assert (done.returncode, StandIn.loaded) == (2, 0)
    assert "nothing may be written in" in done.stderr
    Path("out").write_text("old")
    assert "read-only" in cutline("caption", "p", "--out", "out", "--force").stderr
    for command in (["evaluate", "m", "--data", "x"], ["data", "check", "scenes"]):
        assert "may be written in" in cutline(*command, "--json", "new/out").stderr


# --- going on --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_resuming_with_nothing_to_do_loads_no_model(folder, form):
    words = ["caption", "p", "--format", form, "--out", "out", "--sidecar", "txt"]
    assert cutline(*words).returncode == 0
    before = Path("out").read_bytes()
    done = cutline(*words, "--resume")
    assert (done.returncode, StandIn.loaded, Path("out").read_bytes()) == (0, 1, before)
    assert done.stderr.splitlines() == ["3 of 3 were done before.", "0 captioned, 3 done before."]


def test_each_file_of_a_run_is_gone_on_with(folder):
    cutline("caption", "p/a.png", "--out", "out")
    cutline("caption", "p/b.png", "--sidecar", "txt")
    done = cutline("caption", "p", "--out", "out", "--sidecar", "txt", "--resume")
    assert (done.returncode, done.stderr) == (0, "3 captioned.\n")
    assert Path("out").read_text().count("png\t") == 3
    assert {path.name for path in Path("p").glob("*.txt")} == {"a.txt", "b.txt", "c.txt"}


def test_the_same_folder_by_another_spelling_is_not_captioned_twice(folder, monkeypatch):
    cutline("caption", "p", "--out", "out")
    for spelling in ("./p", folder / "p", "p/../p/*.png"):
        assert "3 of 3" in cutline("caption", spelling, "--out", "out", "--resume").stderr
    monkeypatch.chdir("/")
    assert "3 of 3" in cutline("caption", folder / "p", "--out", folder / "out", "--resume").stderr


def test_a_picture_reached_by_two_links_is_captioned_once(folder):
    Path("q").symlink_to("p")
    assert len(cutline("caption", "p", "q").stdout.splitlines()) == 3


@pytest.mark.parametrize(("form", "number"), [("coco", signal.SIGTERM), ("text", signal.SIGINT)])
def test_a_signal_ends_a_run_in_a_sentence_and_its_file_is_whole(folder, form, number):
    words = ["caption", "p", "p/a.png", "--format", form, "--out", "out"]
    for name in "defghijklm":
        picture(folder / "p" / f"{name}.png")
    process = alone(*words, seconds=1)  # it is still busy when the second has started
    assert waited(Path("out").exists)
    second = alone(*words, "--resume")
    told = second.communicate(timeout=60)[1].decode()
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    assert (second.returncode, process.returncode) == (2, 128 + number)
    assert f"out is being written by another process ({process.pid}); wait" in told
    assert "captioned. The same command with --resume goes on." in said
    assert "cutline: Stopped" in said
    assert "Traceback" not in said
    if form == "coco":
        assert 0 < len(json.loads(Path("out").read_text())) < 13
    assert cutline(*words, "--resume").returncode == 0
    text = Path("out").read_text()
    assert [text.count(f"p/{name}.png") for name in "abcdefghijklm"] == [1] * 13


def test_a_killed_run_blocks_nobody(folder):
    process = alone("caption", "p", "--out", "out")
    assert waited(Path("out").exists)
    process.kill()
    process.wait()
    assert cutline("caption", "p", "--out", "out", "--resume").returncode == 0
    assert len(Path("out").read_text().splitlines()) == 3
    assert {path.name for path in folder.iterdir()} == {"p", "out"}


def test_a_stop_while_modules_are_loaded_is_a_sentence(folder, monkeypatch):
    def load(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        raise ImportError("half a module")

    monkeypatch.setattr(sys.modules["cutline.captioner"], "load", load)
    done = cutline("caption", "p", "--out", "out")
    assert (done.returncode, Path("out").exists()) == (143, False)
    assert "cutline: Stopped by SIGTERM." in done.stderr


def test_a_file_deleted_while_running_is_told(folder, monkeypatch):
    def squares(self, given, _search, batch_size):
        for number, path in enumerate(given):
            if number == 2:
                Path("out").unlink()
            yield [stand_in.made_up(said_of(path))]

    monkeypatch.setattr(StandIn, "caption_squares", squares)
    done = cutline("caption", "p", "--out", "out")
    assert done.returncode == 2
    assert (
        "out was deleted while captions were written to it; 2 of this run are lost" in done.stderr
    )


def test_a_disk_that_fills_up_is_one_of_the_failures(folder, monkeypatch):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60, limits[1]))
    try:
        done = cutline("caption", "p", "--out", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.returncode == 1
    assert "out cannot be written (File too large)" in done.stderr
    assert "1 captioned, 1 failed: 1 not written." in done.stderr
    assert Path("out").read_text() == f"p/a.png\t{said_of(Path('a.png'))}\n"
    assert {path.name for path in folder.iterdir()} == {"p", "out"}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "There is not enough memory; close other programs, or lower --batch-size."),
        (PermissionError(13, "Permission denied", "x\x1b"), r"x\x1b cannot be read or written"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(folder, monkeypatch, error, says):
    def load(*_, **__):
        raise error

    monkeypatch.setattr(sys.modules["cutline.captioner"], "load", load)
    done = cutline("caption", "p")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


# --- what is asked, and what is said ---------------------------------------------------------


def test_a_path_stands_before_a_caption_unless_one_file_was_named(folder):
    bare = f"{said_of(Path('a.png'))}\n"
    Path("one").mkdir()
    picture(folder / "one" / "a.png")
    for words in (["p/a.png"], ["one/a.png"]):
        assert cutline("caption", *words).stdout == bare
    for words in (["one"], ["one/*.png"], ["one/a.png", "missing.png"], ["one/a.png"] * 2):
        assert cutline("caption", *words).stdout == f"one/a.png\t{bare}"
    assert cutline("caption", "-", text="one/a.png").stdout == f"one/a.png\t{bare}"


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "\0"])
def test_an_empty_list_is_a_sentence(folder, text):
    done = cutline("caption", "-", text=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "The list on standard input is empty" in done.stderr
    done = cutline("caption", "-", "p/a.png", text=text)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)


ODD = ["a b.png", "\u718a.png", os.fsdecode(b"caf\xe9.png")]


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (b"", b"\n", ODD),
        (b"", b"\r\n", ODD),
        (b"", b"\0", [*ODD, "new\nline.png", " blank "]),
        (b"\xef\xbb\xbf", b"\n", ODD),
        (b"\xef\xbb\xbf", b"\0", ODD),
    ],
)
def test_lists_are_read_as_find_and_editors_write_them(folder, before, after, names):
    for name in names:
        picture(folder / name)
    listed = before + b"".join(os.fsencode(name) + after for name in names)
    done = cutline("caption", "-", "--format", "jsonl", text=listed)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == names


def test_a_list_in_utf_16_is_read(folder):
    picture(folder / "\u718a.png")
    done = cutline("caption", "-", text="\u718a.png\r\np/a.png\r\n".encode("utf-16"))
    assert done.stdout.count("\n") == 2


def test_a_run_ends_with_a_line_of_what_became_of_its_pictures(folder):
    assert cutline("caption", "p").stderr == "3 captioned.\n"
    picture(folder / "p" / "odd.png")
    Path("p/empty.png").touch()
    Path("p/text.png").write_text("x")
    Path("p/text2.png").write_text("x")
    done = cutline("caption", "p", "missing.png", "--out", "out")
    told = "4 captioned, 1 unsure, 4 failed: 2 no pictures, 1 missing, 1 empty."
    assert done.stderr.splitlines()[-1] == told
    assert cutline("caption", "p/a.png").stderr == ""


def test_formats_on_standard_output_are_whole(folder):
    picture(folder / "p" / "odd.png")
    shown = {form: cutline("caption", "p", "--format", form).stdout for form in FORMS}
    assert [row["unsure"] for row in csv.DictReader(io.StringIO(shown["csv"]))][-1] == "true"
    assert [row["unsure"] for row in json.loads(shown["coco"])] == [False, False, False, True]
    assert [set(row) for row in json.loads(shown["coco"])] == [
        {"image_id", "caption", "unsure"}
    ] * 4
    Path("bad.png").touch()
    for form in FORMS:
        assert cutline("caption", "bad.png", "--format", form).stdout == ""


def test_a_reader_that_goes_away_ends_a_run_quietly(folder):
    for number in range(20):
        picture(folder / "p" / f"{number}.png")
    process = alone("caption", "p", "--format", "coco")
    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read().decode()
    assert process.wait() == 1
    assert told == ""


def test_a_full_disk_behind_standard_output_is_a_sentence(folder):
    with Path("/dev/full").open("w") as full:
        process = alone("caption", "p", stdout=full)
    told = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert told == ("cutline: Standard output cannot be written (No space left on device).\n")


# --- the terminal ----------------------------------------------------------------------------

EVIL = "e\x1b]0;owned\x07\x1b[31m\u202e.png"


def on_a_terminal(*words, streams=("stdin", "stdout")):
    """Run the stand-in with some streams on a pseudo-terminal; return what reaches it, and else."""
    leader, follower = pty.openpty()
    process = alone(*words, seconds=0.01, **dict.fromkeys(streams, follower))
    os.close(follower)
    shown = b""
    try:
        while data := os.read(leader, 65536):
            shown += data
    except OSError:  # the other end is closed
        pass
    piped = b"".join(stream or b"" for stream in process.communicate(timeout=60))
    os.close(leader)
    return shown, piped


@pytest.mark.parametrize("form", ["text", "csv"])
def test_no_name_of_a_picture_commands_a_terminal(folder, form):
    picture(folder / "p" / EVIL)
    shown, told = on_a_terminal("caption", "p", f"missing{EVIL}", "--format", form)
    assert b"owned" in shown
    for text in (shown, told):
        assert b"\x1b]0" not in text
        assert b"\x1b[31m\xe2" not in text
        assert "\u202e".encode() not in text


def test_captions_go_where_they_are_sent_while_the_bar_and_its_rate_are_shown(folder):
    for number in range(40):
        picture(folder / "p" / f"{number}.png")
    shown, piped = on_a_terminal("caption", "p", streams=("stderr",))
    assert piped.count(b"\n") == 43
    assert b"43/43" in shown
    assert re.search(rb"\d/s", shown)
    shown, _ = on_a_terminal("caption", "p", streams=("stdout", "stderr"))
    assert b"43/43" not in shown  # the rows themselves show how far it is
    assert shown.count(b"a picture named") == 43


def test_no_words_of_a_model_command_a_terminal(folder, monkeypatch):
    monkeypatch.setattr(stand_in, "said_of", lambda _: "a \x1b[2J bus")
    for words in (["p"], ["p/a.png"], ["p", "--format", "json"], ["p", "--format", "csv"]):
        done = cutline("caption", *words)
        assert "\x1b" not in done.stdout + done.stderr


def test_cells_and_titles_of_tables_are_no_markup(folder):
    name = "[red]x[bold]\x1b[31m[b]"
    model = folder / name
    model.mkdir()
    config = {"decoder": {"name": "[b]"}, "encoder": {"name": "e"}, "vocabulary_size": 1}
    (model / "config.json").write_text(json.dumps({**config, "scores": {}}))
    (model / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    done = cutline("models", folder)
    assert "\x1b" not in done.stdout
    assert "[b]" in done.stdout
    shown = re.sub(r"[\s│]", "", done.stdout)  # a long cell is folded
    assert r"[red]x[bold]\x1b[31m[b]" in shown


def test_a_wrong_argument_with_escapes_is_shown_escaped(folder):
    for words in (["explain", "a.png", EVIL], ["caption", f"--{EVIL}"], [EVIL]):
        done = cutline(*words)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr
        assert "owned" in done.stderr


# --- pictures with their captions ----------------------------------------------------------------


def test_a_single_picture_is_drawn_with_its_caption_into_a_file(folder):
    done = cutline("caption", "p/a.png", "--figure", "made/a.jpg")
    assert done.returncode == 0, done.stderr
    with Image.open("made/a.jpg") as figure:
        assert (figure.format, figure.width) == ("JPEG", 320)
        assert figure.height > 8


def test_pictures_of_several_folders_are_drawn_into_folders_of_one(folder):
    (folder / "p" / "deep").mkdir()
    picture(folder / "p" / "deep" / "a.png")
    Image.new("RGB", (8, 8)).save("p/d.webp")
    done = cutline("caption", "p", "--figure", "made", "--out", "x.csv", "--format", "csv")
    assert done.returncode == 0, done.stderr
    made = sorted(str(path) for path in Path("made").rglob("*.*"))
    assert made == ["made/a.png", "made/b.png", "made/c.png", "made/d.webp.png", "made/deep/a.png"]
    assert len(Path("x.csv").read_text().splitlines()) == 6


def test_captioned_pictures_are_kept_replaced_or_gone_on_with(folder):
    assert cutline("caption", "p", "--figure", "made").returncode == 0
    Path("made/b.png").write_text("mine")
    Path("made/c.png").unlink()
    done = cutline("caption", "p", "--figure", "made")
    assert done.returncode == 2
    assert "made/a.png exists and is not overwritten; give --figure another" in done.stderr
    done = cutline("caption", "p", "--figure", "made", "--resume")
    assert "1 captioned, 2 done before" in done.stderr
    assert Path("made/b.png").read_text() == "mine"
    assert Path("made/c.png").exists()
    assert cutline("caption", "p", "--figure", "made", "--force").returncode == 0
    assert Path("made/b.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_held_back_is_not_drawn(folder):
    picture(folder / "p" / "low.png")
    done = cutline("caption", "p", "--figure", "made", "--at-least", "0.5")
    assert done.returncode == 0
    assert sorted(path.name for path in Path("made").iterdir()) == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["p", "--figure", "one.png"], "is one file, and there are 3 pictures; give a folder"),
        (["p/a.png", "--figure", "one.gif"], "ends in .gif; a captioned picture ends in .png"),
        (["p", "--figure", "p/made"], "add --exclude made"),
        (["p", "--figure", "p"], "whose pictures are captioned"),
        (["p/a.png", "--figure", "p/a.png", "--force"], "is read here and not overwritten"),
        (["p/a.png", "--figure", "p/a.png/x.png"], "is a file, not a folder"),
        (["p", "--figure", "made", "--watch"], "--watch waits for more; give one of them"),
        (["p", "--font", "x.ttf"], "add --figure FILE.png"),
        (["p", "--figure", "made", "--font", "x.ttf"], "is not a font that can be read"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_a_model_is_loaded(folder, words, says):
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    done = cutline("caption", *words)
    assert (done.returncode, StandIn.loaded) == (2, 0)
    assert says in done.stderr
    assert before == {path: path.read_bytes() for path in folder.rglob("*.*")}


def test_letters_without_a_font_fail_one_picture_and_the_rest_is_drawn(folder, monkeypatch):
    from cutline.explain import fonts

    monkeypatch.setattr(fonts, "_installed", lambda: ("",))
    monkeypatch.setattr(stand_in, "said_of", lambda path: "собака" if path.stem == "b" else "a dog")
    done = cutline("caption", "p", "--figure", "made")
    assert done.returncode == 1
    assert "lacks a sign for собак; give a font that has it: --font FILE.ttf" in done.stderr
    assert sorted(path.name for path in Path("made").iterdir()) == ["a.png", "c.png"]
