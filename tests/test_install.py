"""What `pip install cutline` gives: captions, explanations and scores, without PyTorch.

`make small` builds the wheel and installs it into .venv-small with the base dependencies only; the
commands run there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cutline.data.scenes import Scene, captions, draw

ROOT = Path(__file__).resolve().parents[1]
SMALL = ROOT / ".venv-small"
MB = 1_000_000
TRAINING = [
    "lightning",
    "matplotlib",
    "onnx",
    "onnx_ir",
    "onnxscript",
    "tensorboard",
    "timm",
    "tokenizers",
    "torch",
    "torchvision",
]
VERBS = [
    "demo", "train", "evaluate", "score", "average", "calibrate", "caption", "explain", "export",
    "data", "models", "recipes", "serve",
]  # fmt: skip
IN_TURN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from support.terminal import cutline
print(json.dumps([cutline(*words) for words in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def small() -> Path:
    """The Python of the environment without PyTorch."""
    installed = SMALL / "wheel" / ".installed"
    if not installed.exists():
        pytest.skip("there is no .venv-small: `make small` (and `make test`) makes it")
    sources = [ROOT / "pyproject.toml", *ROOT.glob("recipes/**/*.yaml")]
    sources += [p for p in ROOT.glob("src/**/*") if p.is_file() and p.suffix != ".pyc"]
    if max(path.stat().st_mtime for path in sources) > installed.stat().st_mtime:
        pytest.skip(".venv-small has an older Cutline: `make small` renews it")
    return SMALL / "bin" / "python"


@pytest.fixture(scope="module")
def site(small) -> Path:
    return next(SMALL.glob("lib/python*/site-packages"))


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of three drawn scenes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(3):
        draw(Scene.from_seed(seed), 200).save(folder / f"{seed}.png")
    return folder


def run(python, arguments, folder, text=""):
    """Run a Python in a folder that has nothing of the checkout on its path."""
    left = {name: os.environ[name] for name in os.environ if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, *arguments],
        cwd=folder,
        env=left | {"OMP_NUM_THREADS": "1"},
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(python, folder, *lines):
    """Run command lines one after the other in one process; return (code, out, err) of each."""
    arguments = ["-c", IN_TURN, str(ROOT / "tests")]
    return json.loads(run(python, arguments, folder, json.dumps([list(line) for line in lines])))


def test_nothing_of_pytorch_is_installed(small, tmp_path):
    script = f"import importlib.util as u; print([n for n in {TRAINING} if u.find_spec(n)])"
    assert run(small, ["-c", script], tmp_path).strip() == "[]"


def test_the_install_the_wheel_and_the_model_are_small(site):
    def size(folder):  # as wheels bring it; pip adds a sixth in bytecode, uv does not
        files = (path for path in folder.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files if path.suffix != ".pyc") / MB

    (wheel,) = (SMALL / "wheel").glob("*.whl")
    assert size(site) <= 200
    assert wheel.stat().st_size / MB <= 25
    assert size(site / "cutline" / "models" / "flickr8k-small") <= 20


def test_the_command_captions_a_photograph(small, pictures):
    done = subprocess.run(
        [small.with_name("cutline"), "caption", "0.png"],
        cwd=pictures,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 2


def test_captions_are_written_in_every_format_and_beside_pictures(small, pictures, tmp_path):
    formats = ["text", "json", "jsonl", "csv", "coco"]
    lines = [["caption", "pictures", "--format", form, "--out", f"out.{form}"] for form in formats]
    lines.append(["caption", "pictures", "--sidecar", "txt,json", "--precision", "int8"])
    for code, _, err in commands(small, tmp_path, *lines):
        assert code == 0, err
        assert "3 captioned" in err
    assert len(json.loads((tmp_path / "out.coco").read_text())) == 3
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    assert {path.suffix for path in pictures.iterdir()} == {".png", ".txt", ".json"}


def test_a_page_explains_and_a_png_asks_for_matplotlib(small, pictures, tmp_path):
    page, png, gif = commands(
        small,
        pictures,
        ["explain", "0.png", "--out", "0.html"],
        ["explain", "0.png"],
        ["explain", "0.png", "--out", "0.gif"],
    )
    assert page[0] == 0, page[2]
    assert "<html" in (pictures / "0.html").read_text()
    for code, _, err in (png, gif):
        assert code == 2
        assert "pip install 'cutline[explain]'" in err
        assert ".html" in err


def test_captions_are_drawn_on_pictures_without_matplotlib(small, pictures, tmp_path):
    drawn, sheet = commands(
        small,
        tmp_path,
        ["caption", "pictures", "--figure", "made"],
        ["evaluate", "flickr8k-small", "--data", "scenes", "--images", "2", "--figures", "2"],
    )
    assert drawn[0] == 0, drawn[2]
    assert sheet[0] == 0, sheet[2]
    assert len(list((tmp_path / "made").iterdir())) == 3
    assert (tmp_path / "flickr8k-small-test.png").exists()


def test_a_data_set_is_checked_evaluated_and_its_captions_scored(small, pictures, tmp_path):
    rows = [f"{seed}.png,{text}" for seed in range(3) for text in captions(Scene.from_seed(seed))]
    (pictures / "captions.csv").write_text("\n".join(["image,caption", *rows]))
    done = commands(
        small,
        tmp_path,
        ["data", "check", "pictures"],
        ["evaluate", "flickr8k-small", "--data", "scenes", "--images", "2", "--json", "e.json"],
        ["caption", "pictures", "--format", "csv", "--out", "made.csv"],
        ["score", "made.csv", "pictures/captions.csv", "--json", "scores.json"],
    )
    for code, _, err in done:
        assert code == 0, err
    assert "CIDEr" in json.loads((tmp_path / "scores.json").read_text())["corpus"]
    assert (tmp_path / "e.json").exists()


def test_help_models_and_recipes_need_nothing_more(small, tmp_path):
    lines = [["--help"], ["--version"], ["models"], ["recipes"]]
    done = commands(small, tmp_path, *lines, *([verb, "--help"] for verb in VERBS))
    assert [code for code, _, _ in done] == [0] * len(done)
    assert "flickr8k-small" in done[2][1]
    assert "scenes/soft" in done[3][1]


def test_what_runs_on_pytorch_says_what_to_install_and_leaves_everything_as_it_was(
    small, pictures, tmp_path
):
    earlier = tmp_path / "runs" / "demo" / "scores.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("{}")
    model = "flickr8k-small"
    done = commands(
        small,
        tmp_path,
        ["demo"],
        ["train", "scenes/soft"],
        ["calibrate", model, "out", "--data", "scenes"],
        ["average", model, model, "--out", "out"],
        ["export", model, "out"],
    )
    for code, out, err in done:
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "pip install 'cutline[train]'" in err
    assert set(tmp_path.rglob("*.*")) == {earlier, *pictures.iterdir()}
    assert not (tmp_path / "out").exists()


def test_a_service_says_what_to_install(small, tmp_path):
    ((code, out, err),) = commands(small, tmp_path, ["serve"])
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "pip install 'cutline[serve]'" in err


def test_clipscore_says_that_it_needs_more_than_training_does(small, pictures, tmp_path):
    rows = "image,caption\n0.png,a red circle\n1.png,a blue square\n"
    (tmp_path / "a.csv").write_text(rows)
    line = ["score", "a.csv", "a.csv", "--clip", "ViT-B-32:w.safetensors", "--images", "pictures"]
    ((code, _, err),) = commands(small, tmp_path, line)
    assert code == 2
    assert "pip install 'cutline[clip]'" in err


def test_a_captioner_on_pytorch_says_what_to_install(small, tmp_path):
    script = (
        "import cutline\n"
        "try: cutline.load(backend='torch')\n"
        "except cutline.CutlineError as error: print(error)"
    )
    assert "pip install 'cutline[train]'" in run(small, ["-c", script], tmp_path)


def test_png_and_gif_are_drawn_where_only_matplotlib_is_added(pictures, tmp_path):
    """In this environment, whose PyTorch is hidden."""
    hidden = [name for name in TRAINING if name != "matplotlib"]
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden}))\n"
        f"sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "import cutline; from PIL import Image; from cutline.explain import explain\n"
        "picture = Image.open('0.png'); said = cutline.load().caption(picture)\n"
        "explain(picture, said, 'a.png'); explain(picture, said, 'a.gif')\n"
    )
    run(sys.executable, ["-c", script], pictures)
    assert (pictures / "a.png").exists()
    assert (pictures / "a.gif").exists()
