"""The backbones of the systems as published, one by one, with random weights."""

import huggingface_hub
import pytest
import torch

from support.eyes import build, noise, normalised, refusal, responds, statistics, trained

SAME = {"options": {"pad_type": "same"}}


@pytest.mark.parametrize(
    ("name", "fields", "grid"),
    [
        ("mobilenetv2_100", SAME, (7, 7, 1280)),
        ("regnetx_004_tv", {}, (7, 7, 400)),
        ("vgg11", {"stage": 4}, (14, 14, 512)),
        pytest.param("vgg19", {"stage": 4}, (14, 14, 512), marks=pytest.mark.slow),
        pytest.param("resnet101", {}, (7, 7, 2048), marks=pytest.mark.slow),
        pytest.param("resnet152", {}, (7, 7, 2048), marks=pytest.mark.slow),
        ("resnet50", {}, (7, 7, 2048)),
        ("vit_small_patch16_224", {}, (14, 14, 384)),
    ],
)
def test_a_published_encoder_gives_its_grid_row_by_row(name, fields, grid):
    height, width, size = grid
    encoder = build(name, **fields).eval()
    assert encoder.preprocessing.size == 224
    features = encoder(noise(encoder, 1))
    assert features.grid.shape == (1, height * width, size)
    assert features.pooled.shape == (1, size)
    assert (features.height, features.width) == (height, width)
    for corner in [(0, 0), (0, 1), (1, 0)]:
        row, column = responds(encoder, *corner)
        assert (row >= height // 2, column >= width // 2) == corner


def test_the_class_token_is_no_region_and_is_the_pooled_feature():
    encoder = build("vit_small_patch16_224").eval()
    images = noise(encoder, 1)
    tokens = encoder.backbone.forward_features(normalised(encoder, images))
    features = encoder(images)
    assert tokens.shape[1] == 1 + features.grid.shape[1]
    assert torch.allclose(features.grid, tokens[:, 1:], atol=1e-4)
    assert torch.allclose(features.pooled, tokens[:, 0], atol=1e-4)


def test_padding_changes_what_mobilenet_sees():
    images = noise(build("mobilenetv2_100"), 1)
    with_it, without = (build("mobilenetv2_100", **f).eval()(images).grid for f in (SAME, {}))
    assert with_it.shape == without.shape
    assert not torch.allclose(with_it, without, atol=1e-2)


@pytest.mark.parametrize("fields", [{}, {"stage": 4}])
def test_vgg_keeps_nothing_that_only_classifies(fields):
    encoder = build("vgg11", **fields)
    assert {name.split(".")[1] for name, _ in encoder.named_parameters()} == {"features"}


@pytest.mark.parametrize(
    ("name", "fields", "last", "parts"),
    [
        ("mobilenetv2_100", SAME, 1, ["blocks.5", "blocks.6", "conv_head.weight", "bn2.weight"]),
        ("mobilenetv2_100", SAME, 2, ["blocks.3", "blocks.4", "blocks.5", "blocks.6"]),
        ("regnetx_004_tv", {}, 1, ["s4"]),
        ("regnetx_004_tv", {}, 3, ["s2", "s3", "s4"]),
        ("resnet101", {}, 1, ["layer4"]),
        pytest.param("resnet152", {}, 2, ["layer3", "layer4"], marks=pytest.mark.slow),
        ("vit_small_patch16_224", {}, 1, ["blocks.11", "norm.weight"]),
        ("vit_small_patch16_224", {}, 2, ["blocks.10", "blocks.11", "norm.weight"]),
        ("vit_small_patch16_224", {"stage": 9}, 2, ["blocks.8", "blocks.9"]),
        ("vgg11", {}, 1, ["features.16", "features.18"]),  # its final pooling is no stage
        pytest.param(
            *("vgg19", {"stage": 4}, 1, [f"features.{n}" for n in (28, 30, 32, 34)]),
            marks=pytest.mark.slow,
        ),
        ("vgg19", {"stage": 4}, 2, [f"features.{n}" for n in (19, 21, 23, 25, 28, 30, 32, 34)]),
    ],
)
def test_exactly_the_last_stages_of_a_published_encoder_learn(name, fields, last, parts):
    encoder = build(name, size=64, trainable={"last_stages": last}, **fields).train()
    before = statistics(encoder)
    features = encoder(noise(encoder))
    (features.grid.square().sum() + features.pooled.square().sum()).backward()
    after = statistics(encoder)
    depth = 1 if parts[0].count(".") == 0 else 2
    found = trained(encoder, depth)
    assert [part for part in found if part in parts] == parts
    assert set(found) - set(parts) <= {"conv_head.weight", "bn2.weight", "bn2.bias", "norm.bias"}
    for parameter, tensor in encoder.named_parameters():
        assert (tensor.grad is not None) == tensor.requires_grad, parameter
    for place, mean in before.items():
        inside = any(f"backbone.{part}." in place for part in [*parts, "bn2"])
        assert torch.equal(mean, after[place]) != inside, place


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("mobilenetv2_100", "mobilenetv2_100.ra_in1k"),
        ("regnetx_004_tv", "regnetx_004_tv.tv2_in1k"),
        ("resnet101.tv_in1k", "resnet101.tv_in1k"),
        ("resnet152.tv_in1k", "resnet152.tv_in1k"),
        ("vit_small_patch16_224", "vit_small_patch16_224.augreg_in21k_ft_in1k"),
        ("vgg19", "vgg19.tv_in1k"),
    ],
)
def test_a_missing_download_names_the_file_its_place_and_what_to_type(
    name, repository, monkeypatch
):
    def offline(*place: str) -> str:
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    assert refusal(name, weights="download") == (
        f"The weights of {name} could not be downloaded (ConnectionError). On another machine get "
        f"the file model.safetensors of the Hugging Face model timm/{repository}, put it at "
        f"weights/{repository}.safetensors, and type "
        f"encoder.weights=weights/{repository}.safetensors."
    )
