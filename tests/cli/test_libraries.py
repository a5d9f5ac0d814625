"""`cutline caption` over libraries: what is there already, what is left out, and what comes."""

import json
import signal
import time
from pathlib import Path

import pytest
from test_caption_results import alone, folder, picture, waited  # noqa: F401 - a fixture

from cutline.cli.watching import Arrivals
from cutline.results import read_rows
from cutline.results.xmp import described, parse_xmp
from support.stand_in import StandIn, said_of
from support.terminal import cutline


def names(pattern):
    return sorted(path.name for path in Path().glob(pattern))


def test_each_kind_of_sidecar_is_written_and_the_photograph_is_not_touched(folder):  # noqa: F811
    before = Path("p/a.png").read_bytes(), Path("p/a.png").stat().st_mtime_ns
    done = cutline("caption", "p", "--sidecar", "txt,json,caption,xmp")
    assert (done.returncode, done.stderr) == (0, "3 captioned.\n")
    said = said_of(Path("a.png"))
    assert {Path("p/a.txt").read_text(), Path("p/a.caption").read_text()} == {f"{said}\n"}
    assert json.loads(Path("p/a.json").read_text())["caption"] == said
    found = described(parse_xmp(Path("p/a.png.xmp").read_bytes()))
    assert found == (said, said, "stand-in")
    assert (Path("p/a.png").read_bytes(), Path("p/a.png").stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 1, "mine"),
        (["--resume"], 1, "mine"),
        (["--skip-existing"], 0, "mine"),
        (["--skip-existing", "--resume"], 0, "mine"),
        (["--overwrite"], 0, "{said}\n"),
        (["--force"], 0, "{said}\n"),
        (["--append"], 0, "mine\n{said}\n"),
        (["--append", "--resume"], 0, "mine\n{said}\n"),
    ],
)
@pytest.mark.parametrize("kind", ["txt", "caption"])
def test_a_sidecar_that_is_there_is_what_the_option_says(folder, words, code, text, kind):  # noqa: F811
    path = Path(f"p/a.{kind}")
    path.write_text("mine")
    done = cutline("caption", "p", "--sidecar", kind, *words)
    assert (done.returncode, path.read_text()) == (code, text.format(said=said_of(Path("a.png"))))
    assert Path(f"p/b.{kind}").exists()
    assert ("--overwrite replaces it, --skip-existing passes it over" in done.stderr) == bool(code)


def test_a_run_of_which_every_sidecar_is_there_loads_no_model(folder):  # noqa: F811
    for name in "abc":
        Path(f"p/{name}.txt").write_text("mine")
    done = cutline("caption", "p", "--sidecar", "txt", "--skip-existing")
    assert (done.returncode, StandIn.loaded) == (0, 0)
    assert done.stderr.splitlines()[-1] == "0 captioned, 3 done before."
    done = cutline("caption", "p", "--sidecar", "txt")
    assert (done.returncode, StandIn.loaded) == (2, 0)
    assert done.stderr.splitlines()[-1] == "0 captioned, 3 failed: 3 not written."


def test_a_caption_that_is_overwritten_by_the_same_is_known_again(folder):  # noqa: F811
    for words in ([], ["--overwrite"], ["--resume"]):
        assert cutline("caption", "p", "--sidecar", "txt,caption", *words).returncode == 0
    assert StandIn.loaded == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--append", "--overwrite"], "--overwrite and --append exclude each other"),
        (["--skip-existing", "--append"], "exclude each other; give one of them"),
        (["--append", "--sidecar", ""], "add --sidecar txt"),
        (["--append", "--sidecar", "txt,json"], "a json sidecar holds one caption"),
        (["--at-least", "2"], "--at-least"),
        (["--watch", "p/a.png"], "waits for pictures in folders, and p/a.png is none"),
        (["--out", "p/failed.jsonl"], "is where failures and what is held back are listed"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_before_any_work(folder, words, says):  # noqa: F811
    done = cutline("caption", "p", "--sidecar", "txt", *words)
    assert (done.returncode, StandIn.loaded, names("p/*.txt")) == (2, 0, [])
    assert says in done.stderr


def test_text_stands_around_captions_in_every_file(folder):  # noqa: F811
    picture(folder / "p" / "odd.png")
    words = ["--prefix", "photo: ", "--suffix", ".", "--sidecar", "txt,json,xmp"]
    said = f"photo: {said_of(Path('a.png'))}."
    for form in ("text", "jsonl", "csv", "coco"):
        done = cutline("caption", "p", "--format", form, "--out", form, *words, "--overwrite")
        assert done.returncode == 0
        rows = list(read_rows(Path(form)))
        assert rows[0].caption == said
        assert rows[3].caption == f"photo: {said_of(Path('odd.png'))}."
        assert rows[3].unsure is True
    assert Path("p/a.txt").read_text() == f"{said}\n"
    assert Path("p/odd.txt").read_text().startswith("perhaps: photo: ")
    assert json.loads(Path("p/a.json").read_text())["caption"] == said
    assert json.loads(Path("p/a.json").read_text())["words"][0] == "a"
    assert described(parse_xmp(Path("p/a.png.xmp").read_bytes())).alt_text == said


def test_files_and_folders_are_left_out_and_counted(folder):  # noqa: F811
    for place in ("p/thumbs", "p/raw", "p/raw/thumbs"):
        Path(place).mkdir()
        picture(folder / place / "x.png")
    for words, count, wanted in (
        (["b.*"], 1, 5),
        (["thumbs"], 2, 4),
        (["p/raw"], 1, 4),
        (["thumbs/", "[ab].png"], 4, 2),
        (["p/raw/*.png"], 2, 4),
    ):
        options = [word for given in words for word in ("--exclude", given)]
        done = cutline("caption", "p", *options)
        assert len(done.stdout.splitlines()) == wanted
        what = "file or folder was" if count == 1 else "files and folders were"
        assert f"{count} {what} left out by --exclude." in done.stderr
    assert (
        "--exclude '*.jgp' matches nothing." in cutline("caption", "p", "--exclude", "*.jgp").stderr
    )
    done = cutline("caption", "p", "--exclude", "*.png")
    assert done.returncode == 2
    assert "p holds no pictures but what --exclude leaves out" in done.stderr


def test_what_is_less_sure_is_held_back_and_listed_apart(folder):  # noqa: F811
    picture(folder / "p" / "low.png")
    words = ["caption", "p", "--at-least", "0.5"]
    done = cutline(*words)
    assert done.stdout.count("\n") == 3
    assert "p/low.png: held back at 0.25: a picture named" in done.stderr
    assert "3 captioned, 1 held back." in done.stderr
    words += ["--out", "out", "--sidecar", "txt"]
    done = cutline(*words)
    assert (done.returncode, names("p/*.txt")) == (0, ["a.txt", "b.txt", "c.txt"])
    assert [Path(row.image).name for row in read_rows(Path("held-back.jsonl"))] == ["low.png"]
    assert "What is held back is listed in held-back.jsonl." in done.stderr
    done = cutline(*words, "--resume")
    assert (done.returncode, StandIn.loaded) == (0, 2)
    assert "0 captioned, 4 done before." in done.stderr
    assert "held-back.jsonl exists" in cutline(*words[:4], "--sidecar", "json", "--out", "o").stderr


def failed(path="failed.jsonl"):
    lines = Path(path).read_text().splitlines()
    return {Path(entry["image"]).name: entry["reason"] for entry in map(json.loads, lines)}


def test_each_failure_is_listed_with_its_reason_until_it_is_mended(folder):  # noqa: F811
    Path("p/bad.png").write_text("no picture")
    Path("p/b.txt").write_text("mine")
    words = ["caption", "p", "missing.png", "--sidecar", "txt"]
    done = cutline(*words)
    assert done.returncode == 1
    assert "What failed is listed in p/failed.jsonl." in done.stderr
    reasons = failed("p/failed.jsonl")
    assert set(reasons) == {"bad.png", "missing.png", "b.png"}
    assert "not a picture" in reasons["bad.png"]
    assert "does not exist" in reasons["missing.png"]
    assert "b.txt exists and is not overwritten" in reasons["b.png"]
    with Path("p/failed.jsonl").open("a") as stream:
        stream.write('{"image": "p/b.png", "rea')  # of a run that was killed
    picture(folder / "p" / "bad.png")
    cutline("caption", "p", "--sidecar", "txt", "--resume", "--append")
    assert set(failed("p/failed.jsonl")) == {"missing.png"}


def test_lists_of_other_runs_are_kept_and_files_of_others_are_not_touched(folder):  # noqa: F811
    Path("q").mkdir()
    for place in "pq":
        Path(place, "bad.png").write_text("no picture")
        cutline("caption", place, "--out", f"{place}.txt")
    assert len(Path("failed.jsonl").read_text().splitlines()) == 2
    Path("p/bad.png").unlink()
    cutline("caption", "p", "q", "--out", "both")
    assert [
        json.loads(line)["image"] for line in Path("failed.jsonl").read_text().splitlines()
    ] == [
        "p/bad.png",
        "q/bad.png",
    ]
    Path("failed.jsonl").write_text("my own list\nof things\n")
    done = cutline("caption", "p", "--out", "new")
    assert (done.returncode, Path("new").exists()) == (2, False)
    assert "failed.jsonl is where failures are listed, and holds something else" in done.stderr


@pytest.mark.parametrize("words", [["p/bad.png", "q/bad.png"], ["-"], ["[pq]/*.png"]])
def test_of_pictures_that_are_named_failures_are_listed_beside_their_sidecars(folder, words):  # noqa: F811
    Path("q").mkdir()
    for place in "pq":
        Path(place, "bad.png").write_text("no picture")
    done = cutline("caption", *words, "--sidecar", "txt", text="p/bad.png\nq/bad.png\n")
    assert done.returncode in (1, 2)
    assert "What failed is listed in p/failed.jsonl." in done.stderr
    assert names("**/failed.jsonl") == ["failed.jsonl"]
    assert len(Path("p/failed.jsonl").read_text().splitlines()) == 2


def test_a_list_of_failures_is_gone_on_with_from_another_folder(folder, monkeypatch):  # noqa: F811
    Path("p/bad.png").write_text("no picture")
    cutline("caption", "p", "--out", "out")
    assert set(failed()) == {"bad.png"}
    picture(folder / "p" / "bad.png")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert cutline("caption", "../p", "--out", "../out", "--resume").returncode == 0
    assert not Path("../failed.jsonl").exists()


def test_nothing_is_listed_where_nothing_is_written(folder):  # noqa: F811
    Path("p/bad.png").write_text("no picture")
    assert cutline("caption", "p").returncode == 1
    assert names("**/failed.jsonl") == []


# --- watching --------------------------------------------------------------------------------


def watching(*words):
    return alone("caption", "p", "--watch", *words, seconds=0)


def ended(process, number=signal.SIGTERM):
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    return process.returncode, told.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watched_folder_is_captioned_as_it_fills_and_a_signal_ends_it(folder, number):  # noqa: F811
    process = watching("--sidecar", "txt", "--out", "out")
    assert waited(Path("p/c.txt").exists)
    Path("p/new").mkdir()
    picture(folder / "p/new/d.png")
    assert waited(Path("p/new/d.txt").exists)
    code, told = ended(process, number)
    assert (code, told.splitlines()[-1]) == (0, "4 captioned.")
    assert len(list(read_rows(Path("out")))) == 4
    process = watching("--sidecar", "txt", "--out", "out", "--resume")
    picture(folder / "p/e.png")
    assert waited(Path("p/e.txt").exists)
    assert ended(process)[1].splitlines()[-1] == "1 captioned, 4 done before."


def test_a_picture_that_still_grows_is_waited_for_and_one_that_is_mended_tried_again(folder):  # noqa: F811
    whole = Path("p/a.png").read_bytes()
    process = watching("--sidecar", "txt")
    assert waited(Path("p/c.txt").exists)
    Path("p/bad.png").write_bytes(b"no picture")
    with Path("p/slow.png").open("wb") as stream:
        for byte in whole[:30]:
            stream.write(bytes([byte]))
            stream.flush()
            time.sleep(0.1)
        stream.write(whole[30:])
    assert waited(Path("p/slow.txt").exists)
    assert waited(Path("p/failed.jsonl").exists)
    Path("p/bad.png").write_bytes(whole)
    assert waited(Path("p/bad.txt").exists)
    code, told = ended(process)
    assert (code, told.count("bad.png"), "slow.png" in told) == (1, 1, False)
    assert not Path("p/failed.jsonl").exists()


def test_a_folder_that_is_gone_for_a_while_is_waited_for(folder):  # noqa: F811
    process = watching("--out", "out")
    assert waited(lambda: Path("out").exists() and Path("out").read_text().count("\n") == 3)
    Path("p").rename("away")
    time.sleep(2.5)
    picture(folder / "away" / "d.png")
    Path("away").rename("p")
    assert waited(lambda: Path("out").read_text().count("\n") == 4)
    code, told = ended(process)
    assert (code, told.count("p is not there; it is waited for.")) == (0, 1)
    assert "All folders are there again." in told


def test_a_model_that_cannot_be_loaded_ends_a_watch_at_once(folder):  # noqa: F811
    done = cutline("caption", "p", "--watch", "--model", "nowhere", "--out", "out")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_picture_is_read_when_it_has_not_grown_for_a_second(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("cutline.cli.watching.time.monotonic", lambda: now[0])
    arrivals = Arrivals([str(tmp_path)], [])
    photo = tmp_path / "a.png"
    found = []
    for moment, size in ((0.0, 1), (0.04, 1), (0.5, 2), (1.04, 2), (1.5, 2)):
        now[0] = moment
        if not photo.exists() or photo.stat().st_size != size:
            photo.write_bytes(b"x" * size)
        found.append(arrivals.look())
    assert found == [[], [], [], [], [photo]]
