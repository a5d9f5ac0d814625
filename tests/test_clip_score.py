"""CLIPScore with a small random CLIP: the arithmetic, and what is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cutline.data.scenes import ScenePicture
from cutline.errors import ModelError, UsageError
from cutline.evaluation.clip_score import Clip, clip_score

open_clip = pytest.importorskip("open_clip", reason="the extra `clip` is not installed")
NAME = "cutline-test"
SIZES = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    import json

    folder = tmp_path_factory.mktemp("clip")
    (folder / f"{NAME}.json").write_text(json.dumps(SIZES))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    save_file(open_clip.create_model(NAME).state_dict(), folder / "clip.safetensors")
    return folder / "clip.safetensors"


def test_the_figures_are_those_of_the_definition(weights: Path):
    clip = Clip(NAME, weights)
    pictures = {str(seed): ScenePicture(seed, 64) for seed in range(3)}
    said = {str(seed): f"{seed} red circles" for seed in range(3)}
    truths = {image: [said[image], "a blue square"] for image in said}
    made = clip_score(clip, said, pictures, truths)
    v = clip.pictures([picture.open() for picture in pictures.values()])
    c = clip.texts(list(said.values()))
    for row, image in enumerate(said):
        fit = 2.5 * max(float(v[row] @ c[row]), 0)
        assert made.per_image[image]["CLIPScore"] == pytest.approx(fit, abs=1e-6)
        # the caption is among its references, so it agrees with one fully
        assert made.per_image[image]["RefCLIPScore"] == pytest.approx(
            2 * fit / (fit + 1) if fit else 0, abs=1e-5
        )
    mean = sum(row["CLIPScore"] for row in made.per_image.values()) / 3
    assert made.corpus["CLIPScore"] == pytest.approx(mean)
    assert made.signature.startswith(f"images:3|clip:{NAME}@")


def test_without_references_only_the_picture_counts(weights: Path):
    made = clip_score(Clip(NAME, weights), {"1": "a bus"}, {"1": ScenePicture(1, 64)})
    assert list(made.corpus) == ["CLIPScore"]


def test_pickled_weights_are_never_loaded(weights: Path, tmp_path: Path):
    (tmp_path / "clip.pt").write_bytes(b"")
    with pytest.raises(UsageError, match="pickled code and are never loaded"):
        Clip(NAME, tmp_path / "clip.pt")


def test_an_unknown_model_and_weights_of_another_are_refused(weights: Path):
    with pytest.raises(UsageError, match="no model 'ViT-B-3'; did you mean 'ViT-B-32'"):
        Clip("ViT-B-3", weights)
    with pytest.raises(ModelError, match="is not usable as open_clip's RN50"):
        Clip("RN50", weights)
