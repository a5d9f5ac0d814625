"""The examples run, without what they do not need."""

import subprocess
import sys
from pathlib import Path

import pytest

import cutline
from cutline.data.scenes import ScenePicture
from cutline.models import find_model

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples/caption_with_onnxruntime.py"

# importing any of these fails in the child
ALONE = """
import runpy, sys
for name in ("cutline", "torch", "timm", "safetensors", "tokenizers"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("seed", [2, 5])
def test_sixty_lines_without_cutline_caption_as_cutline_does(tmp_path, seed):
    photo = tmp_path / "photo.png"
    ScenePicture(seed, 200).open().save(photo)
    words = [sys.executable, "-c", ALONE, EXAMPLE, find_model("flickr8k-small"), photo]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == cutline.load().caption(photo, beam=1).text


def test_the_example_is_as_short_as_the_documentation_says():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 60
