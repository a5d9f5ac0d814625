"""The command line as a person meets it: files in, files out, sentences, exit codes."""

import csv
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from cutline.config import read_recipe
from cutline.data.scenes import ScenePicture
from cutline.training import train
from support.terminal import cutline
from support.tiny import write_recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    train(read_recipe(write_recipe(folder), ["training.epochs=1"]), folder / "out", say=lambda _: 0)
    return folder / "out" / "best"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo 1.png"
    ScenePicture(5, 128).open().save(path)
    return path


def alone(*words):
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "cutline", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_help_loads_nothing_heavy():
    code = "import sys, cutline.cli.app; print({'torch', 'timm', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_help_answers_in_half_a_second():
    alone("--help")
    start = time.perf_counter()
    assert alone("--help").returncode == 0
    assert time.perf_counter() - start < 0.5


def test_json_is_an_object_a_line(model, photo):
    done = alone("caption", photo, "--model", model, "--format", "json")
    assert done.returncode == 0
    row = json.loads(done.stdout)
    assert list(row) == ["image", "caption", "words", "log_probs", "confidence", "model"]
    assert row["image"] == str(photo)
    assert len(row["words"]) == len(row["log_probs"])
    assert 0 <= row["confidence"] <= 1


def test_where_the_time_went_is_said_on_request(model, photo):
    done = cutline("caption", photo, "--model", model, "--timings")
    assert done.returncode == 0
    [line] = done.stderr.strip().splitlines()
    assert re.fullmatch(r"Time: (\w[\w ]* \d+\.\d\d s \(\d+%\)(, |\.$))+", line)
    for part in ("import", "load", "read", "resize", "encode", "search"):
        assert f"{part} " in line


def test_a_precision_is_obeyed_or_answered_with_those_there_are(model, photo):
    exact = cutline("caption", photo, "--model", model)
    for precision in ("float32", "int8"):
        done = cutline("caption", photo, "--model", model, "--precision", precision)
        assert (done.returncode, done.stderr) == (0, "")
        assert precision != "float32" or done.stdout == exact.stdout
    done = cutline("caption", photo, "--model", model, "--precision", "bfloat16")
    assert done.returncode == 2
    assert "bfloat16" in done.stderr
    assert "int8" in done.stderr


def broken_files(folder: Path) -> list[Path]:
    """Everything that people pass by mistake."""
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "empty.png").write_bytes(b"")
    Image.new("RGB", (300, 200), "red").save(folder / "whole.jpg")
    data = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "none").mkdir()
    return [folder / name for name in ("text.jpg", "empty.png", "cut.jpg", "missing.jpg", "none")]


def test_bad_pictures_are_named_and_the_good_ones_captioned(model, photo, tmp_path):
    bad = broken_files(tmp_path)
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    done = cutline(
        "caption",
        *bad[:2],
        photo,
        *bad[2:],
        tmp_path / "dot.png",
        "--model",
        model,
        "--format",
        "json",
    )
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["image"] for row in rows] == [str(photo), str(tmp_path / "dot.png")]
    sentences = done.stderr.strip().splitlines()
    for path in bad:
        assert sum(path.name in line for line in sentences) == 1, path


def test_nothing_but_bad_pictures_is_nothing_done(model, tmp_path):
    for path in broken_files(tmp_path):
        done = cutline("caption", path, "--model", model)
        assert (done.returncode, done.stdout) == (2, "")
        assert path.name in done.stderr


def test_formats_hold_the_same_captions(model, photo, tmp_path):
    second = tmp_path / "COCO_val2014_000000000042.png"
    ScenePicture(6, 64).open().save(second)

    def run(form):
        return cutline("caption", photo, second, "--model", model, "--format", form).stdout

    rows = [json.loads(line) for line in run("jsonl").splitlines()]
    texts = [row["caption"] for row in rows]
    assert [line.split("\t") for line in run("text").splitlines()] == [
        [str(photo), texts[0]],
        [str(second), texts[1]],
    ]
    assert [row["caption"] for row in csv.DictReader(run("csv").splitlines())] == texts
    coco = json.loads(run("coco"))
    assert coco[1] == {"image_id": 42, "caption": texts[1]}


@pytest.mark.parametrize("form", ["text", "json", "csv", "coco"])
def test_a_file_is_not_overwritten_but_gone_on_with(model, tmp_path, form):
    for seed in range(3):
        ScenePicture(seed, 64).open().save(tmp_path / f"s{seed}.png")
    out = tmp_path / "out"
    words = ["--model", model, "--format", form, "--out", out]
    assert cutline("caption", tmp_path / "s0.png", *words).returncode == 0
    refused = cutline("caption", tmp_path / "s1.png", *words)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resumed = cutline("caption", tmp_path, *words, "--resume")
    assert resumed.returncode == 0
    assert "1 of 3" in resumed.stderr
    assert cutline("caption", tmp_path, *words, "--resume").returncode == 0
    text = out.read_text()
    if form == "coco":
        assert [e["image_id"] for e in json.loads(text)] == [f"s{n}.png" for n in range(3)]
    else:
        assert sum(f"s{n}.png" in text for n in range(3)) == 3
        assert len(text.splitlines()) == 3 + (form == "csv")


def test_sidecars_stand_beside_the_pictures_and_are_not_overwritten(model, photo):
    words = ["caption", photo, "--model", model, "--sidecar", "txt,json"]
    assert cutline(*words).returncode == 0
    kept = photo.with_suffix(".txt").read_text()
    assert json.loads(photo.with_suffix(".json").read_text())["caption"] == kept.strip()
    photo.with_suffix(".txt").write_text("mine")
    again = cutline(*words)
    assert again.returncode == 2  # nothing was left to be written
    assert "photo 1.txt" in again.stderr
    assert "--overwrite" in again.stderr
    assert photo.with_suffix(".txt").read_text() == "mine"
    assert cutline(*words, "--resume").returncode == 0
    assert cutline(*words, "--force").returncode == 0
    assert photo.with_suffix(".txt").read_text() == kept


def test_an_unknown_sidecar_is_refused(model, photo):
    done = cutline("caption", photo, "--model", model, "--sidecar", "tx")
    assert done.returncode == 2
    assert "did you mean 'txt'" in done.stderr


def test_a_list_comes_from_standard_input(model, photo):
    done = cutline("caption", "-", "--model", model, "--format", "json", text=f"{photo}\n\n")
    assert done.returncode == 0
    assert json.loads(done.stdout)["image"] == str(photo)


def test_a_model_that_is_not_there_is_answered_with_how_to_get_one(photo):
    done = cutline("caption", photo, "--model", "nowhere")
    assert done.returncode == 2
    assert "`cutline models` lists those at hand" in done.stderr


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"123"), "cut off"),
        (lambda folder: _cut(folder / "model.safetensors"), "cut off"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "missing"),
        (lambda folder: _cut(folder / "tokenizer.json"), "tokenizer"),
        (lambda folder: _change(folder / "config.json", format=99), "format 99"),
        (lambda folder: _change(folder / "config.json", vocabulary_size=7), "words"),
        (lambda folder: _cut(folder / "config.json"), "cannot be read"),
    ],
)
def test_a_damaged_model_is_refused_in_a_sentence(model, photo, tmp_path, harm, words):
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    harm(copy)
    done = cutline("caption", photo, "--model", copy)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _change(path: Path, **facts) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_a_recipe_with_a_typo_says_what_was_meant(tmp_path):
    recipe = write_recipe(tmp_path)
    done = cutline("train", recipe, "training.epoch=3", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "did you mean 'epochs'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_evaluate_writes_figures_signature_and_what_was_skipped(model, tmp_path):
    out = tmp_path / "scores.json"
    words = ["evaluate", model, "--data", "scenes", "--images", 6, "--json", out]
    assert cutline(*words).returncode == 0
    result = json.loads(out.read_text())
    assert set(result) >= {"corpus", "per_image", "signature", "skipped"}
    assert {"BLEU-4", "CIDEr", "truth"} <= set(result["corpus"])
    assert len(result["per_image"]) == 6
    assert cutline(*words).returncode == 2


def test_evaluate_of_a_run_takes_its_best_model_and_says_so(model):
    words = ["--data", "scenes", "--images", 2, "--metrics", "bleu"]
    run, best = cutline("evaluate", model.parent, *words), cutline("evaluate", model, *words)
    assert f"{model.parent} is a run; its best model is {model}" in run.stderr
    assert "is a run" not in best.stderr
    assert run.stdout == best.stdout
    assert "split:test" in run.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [
        ({"train", "val", "test"}, "test"),
        ({"train", "test"}, "test"),
        ({"train", "val"}, "val"),
        ({"val"}, "val"),
    ],
)
def test_evaluate_takes_test_or_else_val_and_says_so(model, tmp_path, splits, chosen):
    rows = []
    for number, split in enumerate(sorted(splits)):
        ScenePicture(number, 64).open().save(tmp_path / f"{number}.png")
        sentence = {"raw": "a red circle"}
        rows.append({"filename": f"{number}.png", "split": split, "sentences": [sentence]})
    (tmp_path / "dataset_x.json").write_text(json.dumps({"dataset": "x", "images": rows}))
    done = cutline("evaluate", model, "--data", tmp_path, "--metrics", "BLEU")
    assert done.returncode == 0, done.stderr
    assert f"split:{chosen}" in done.stdout.replace("\n", "")
    assert ("there is no test split: this is val" in done.stderr) == (chosen == "val")


def test_evaluate_without_a_held_out_split_asks_for_one(model, tmp_path):
    ScenePicture(1, 64).open().save(tmp_path / "1.png")
    row = {"filename": "1.png", "split": "train", "sentences": [{"raw": "a red circle"}]}
    (tmp_path / "dataset_x.json").write_text(json.dumps({"dataset": "x", "images": [row]}))
    done = cutline("evaluate", model, "--data", tmp_path)
    assert done.returncode == 2
    assert "has no split 'test'; Allowed: train" in done.stderr


def test_evaluate_measures_whether_attention_is_faithful(model, tmp_path):
    out = tmp_path / "scores.json"
    done = cutline(
        "evaluate", model, "--data", "scenes", "--images", 2, "--json", out, "--faithfulness"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["faithfulness"]
    assert found["images"] <= 2
    for curve in ("deletion", "insertion"):
        assert set(found[curve]) == {"attention", "centre", "random"}
        assert all(0 <= one["area"] <= 1 for one in found[curve].values())
    assert "centre" in done.stdout


def test_evaluate_draws_figures_on_a_sheet_or_one_by_one_and_never_over_others(model, tmp_path):
    words = ["evaluate", model, "--data", "scenes", "--images", 4, "--metrics", "BLEU"]
    sheet, folder = tmp_path / "sheet.png", tmp_path / "each"
    for place, count in ((sheet, 4), (folder, 3)):
        done = cutline(*words, "--figures", count, "--figures-to", place)
        assert done.returncode == 0, done.stderr
        assert f"Drawn: {count} pictures in {place}." in done.stderr
    with Image.open(sheet) as image:
        assert image.size >= (2 * 400, 2 * 300)
    names = sorted(path.name for path in folder.iterdir())
    assert [name[:4] for name in names] == ["001-", "002-", "003-"]
    before = {path: path.read_bytes() for path in (sheet, *folder.iterdir())}
    for place in (sheet, folder):
        done = cutline(*words, "--figures", 2, "--figures-to", place)
        assert done.returncode == 2
        assert "exists and is not overwritten" in done.stderr
    assert before == {path: path.read_bytes() for path in before}
    (folder / "notes.txt").write_text("mine")
    assert cutline(*words, "--figures", 2, "--figures-to", folder, "--force").returncode == 0
    assert (folder / "notes.txt").read_text() == "mine"


def test_evaluate_refuses_figures_that_cannot_be_before_it_captions(model, tmp_path):
    words = ["evaluate", model, "--data", "scenes", "--images", 4]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    for given, says in (
        (["--figures", 0], "--figures 0 draws nothing; give 1 or more"),
        (["--figures", 5], "5 figures were asked for, and 4 pictures"),
        (["--figures", 2, "--figures-to", "x.gif"], "ends in .gif"),
        (["--figures", 2, "--figures-to", tmp_path / "mine", "--force"], "folder of other things"),
        (["--figures", 2, "--figures-to", model / "config.json", "--force"], "read here"),
        (["--figures-to", "x.png"], "add --figures 10"),
        (["--figures", 2, "--font", tmp_path / "no.ttf"], "is not a font"),
    ):
        done = cutline(*words, *given)
        assert done.returncode == 2, given
        assert says in done.stderr
        assert "BLEU" not in done.stdout
    assert [path.name for path in tmp_path.rglob("*.*")] == ["thesis.tex"]


def test_explain_compares_models_and_names_each(model, photo, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model, other)
    done = cutline(
        "explain", photo, "--model", model, "--model", other, "--out", tmp_path / "x.html"
    )
    assert done.returncode == 0, done.stderr
    assert f"{other}: " in done.stdout
    page = (tmp_path / "x.html").read_text()
    assert page.count('class="card"') == 2
    assert f"<h2>{model}</h2>" in page
    for given, says in (
        (["--model", model, "--out", tmp_path / "y.html"], "was given twice"),
        (["--model", other, "--out", tmp_path / "y.gif"], "shows one model, not 2"),
    ):
        done = cutline("explain", photo, "--model", model, *given)
        assert done.returncode == 2
        assert says in done.stderr


@pytest.mark.parametrize("suffix", [".png", ".gif", ".html"])
def test_explain_writes_a_picture_and_never_over_another(model, photo, tmp_path, suffix):
    target = tmp_path / f"look{suffix}"
    done = cutline("explain", photo, "--model", model, "--out", target)
    assert done.returncode == 0, done.stderr
    assert target.stat().st_size > 1000
    assert cutline("explain", photo, "--model", model, "--out", target).returncode == 2


def test_explain_of_a_text_file_is_refused(model, tmp_path):
    (tmp_path / "a.jpg").write_text("no")
    done = cutline("explain", tmp_path / "a.jpg", "--model", model)
    assert done.returncode == 2
    assert "a.jpg" in done.stderr


def test_data_check_counts_and_names_faults(tmp_path):
    rows = [{"file_name": name, "text": "a dog"} for name in ("a.png", "b.png", "gone.png")]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20), "blue" if name < "b" else "red").save(tmp_path / name)
    done = cutline("data", "check", tmp_path)
    assert done.returncode == 1
    assert "gone.png" in done.stdout


def test_lists_of_models_and_recipes(model):
    assert "soft" in cutline("models", model.parent).stdout
    assert "scenes/soft" in cutline("recipes").stdout
    assert "cutline demo" in cutline("models", model.parent / "nowhere").stderr


def test_a_model_that_was_chosen_by_a_beam_is_listed_with_its_score(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    config["scores"] = {"val/cider_beam_5": 1.234}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert "1.234" in cutline("models", tmp_path).stdout


def test_version_and_unknown_commands():
    assert alone("--version").stdout.startswith("cutline ")
    assert alone("captoin").returncode == 2
