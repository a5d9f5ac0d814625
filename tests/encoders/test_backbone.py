"""Encoders: what they see, what of them trains, and where their weights come from."""

import itertools
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cutline.config import EncoderConfig
from cutline.encoders import build_encoder
from cutline.preprocessing import Preprocessing
from support.eyes import build, noise, normalised, refusal, responds, statistics, trained

# --- what it sees


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("tf_efficientnet_lite0", (7, 7, 1280)),
        ("resnet18", (7, 7, 512)),
        ("vit_tiny_patch16_224", (14, 14, 192)),
        ("deit_tiny_distilled_patch16_224", (14, 14, 192)),  # two tokens that are no place
        ("swin_tiny_patch4_window7_224", (7, 7, 768)),  # channels come last
        ("test_convnext", (5, 5, 64)),
    ],
)
def test_any_backbone_gives_a_grid(name, grid):
    encoder = build(name).eval()
    assert (encoder.height, encoder.width, encoder.feature_size) == grid
    features = encoder(noise(encoder, 1))
    assert features.grid.shape == (1, grid[0] * grid[1], grid[2])
    assert (features.height, features.width) == grid[:2]


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_a_picture_and_its_mirror_image_are_seen_as_one(name):
    encoder = build(name, mirror=True).eval()
    images = noise(encoder, 2)
    both = encoder(images)
    encoder.mirror = False
    seen, mirrored = encoder(images), encoder(images.flip(3))
    shape = (2, encoder.height, encoder.width, -1)
    turned = mirrored.grid.reshape(shape).flip(2).flatten(1, 2)
    torch.testing.assert_close(both.grid, (seen.grid + turned) / 2)
    torch.testing.assert_close(both.pooled, (seen.pooled + mirrored.pooled) / 2)
    assert not torch.allclose(both.grid, seen.grid, atol=1e-3)


def test_while_it_trains_an_encoder_sees_no_mirror_image():
    encoder = build("test_resnet", mirror=True, trainable="all", batch_norm="frozen")
    images = noise(encoder, 1)
    alone = build("test_resnet", trainable="all", batch_norm="frozen")
    alone.load_state_dict(encoder.state_dict())
    torch.manual_seed(0)
    wanted = alone.train()(images).grid
    torch.testing.assert_close(encoder.train()(images).grid, wanted)


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_vit",
        "deit_tiny_distilled_patch16_224",
        "vit_tiny_r_s16_p8_224",
        "swin_tiny_patch4_window7_224",
        "test_convnext",  # normalises what it has pooled
    ],
)
def test_the_pooled_feature_is_what_timms_classifier_reads(name):
    encoder = build(name).eval()
    images = noise(encoder, 1)
    final = encoder.backbone.forward_features(normalised(encoder, images))
    expected = encoder.backbone.forward_head(final, pre_logits=True)
    assert torch.allclose(encoder(images).pooled, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "fields"),
    [("test_vit", {"stage": 2}), ("efficientvit_b0", {}), ("test_vit", {"positions": True})],
    ids=["a stage", "a classifier of another size", "positions"],
)
def test_else_the_pooled_feature_is_the_mean_of_the_grid(name, fields):
    if fields.get("positions"):  # they are of places, and the class token has none
        fields = {**fields, "trainable": "all", "options": {"global_pool": "avg", "fc_norm": False}}
    features = build(name, **fields).eval()(torch.zeros(1, 3, 160, 160, dtype=torch.uint8))
    assert torch.allclose(features.pooled, features.grid.mean(1), atol=1e-5)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_features_are_packed_into_a_table_and_come_out_again(name):
    encoder = build(name).eval()
    features = encoder(noise(encoder))
    table = encoder.pack(noise(encoder))
    assert table.shape == (2, *encoder.table)
    assert table.shape[1] == features.grid.shape[1] + (name == "test_vit")
    for there, back in zip(features, encoder.unpack(table), strict=True):
        assert torch.equal(torch.as_tensor(there), torch.as_tensor(back))


@pytest.mark.parametrize("grid", [1, 3, 5, 7, 14])
def test_a_grid_of_any_side_is_the_mean_of_what_each_region_covers(grid):
    plain, pooled = build(), build(grid=grid)
    images = noise(plain, 1)
    side = plain.height
    seen = plain.eval()(images).grid.reshape(side, side, -1)
    found = pooled.eval()(images)
    assert (found.height, found.width, pooled.height, pooled.width) == (grid,) * 4
    for row, column in itertools.product(range(grid), repeat=2):
        rows, columns = (
            slice(at * side // grid, -(-(at + 1) * side // grid)) for at in (row, column)
        )
        torch.testing.assert_close(
            found.grid[0, row * grid + column], seen[rows, columns].mean((0, 1))
        )


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("grid", [2, 9, 14])
def test_the_table_of_a_pooled_grid_keeps_the_smaller_map(name, grid):
    encoder = build(name, grid=grid, mirror=True).eval()
    own = build(name).height
    images = noise(encoder)
    table = encoder.pack(images)
    assert table.shape[1] == min(own, grid) ** 2 + encoder.pools
    for there, back in zip(encoder(images), encoder.unpack(table), strict=True):
        torch.testing.assert_close(torch.as_tensor(there), torch.as_tensor(back))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_final_features_are_the_backbones_of_normalised_pictures(name):
    encoder = build(name).eval()
    images = noise(encoder)
    expected = encoder.backbone.forward_features(normalised(encoder, images))
    without_class_token = expected[:, 1:]
    expected = without_class_token if name == "test_vit" else expected.flatten(2).transpose(1, 2)
    assert torch.allclose(encoder(images).grid, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("stage", [0, 1, 3, -1, -2, -4])
def test_a_tapped_stage_is_that_of_the_whole_backbone(name, stage):
    encoder = build(name, stage=stage).eval()
    torch.manual_seed(0)
    whole = timm.create_model(name, num_classes=0).eval()
    images = noise(encoder, 1)
    inputs = normalised(encoder, images)
    every = whole.forward_intermediates(inputs, intermediates_only=True, output_fmt="NCHW")
    expected = every[stage].flatten(2).transpose(1, 2)
    assert torch.allclose(encoder(images).grid, expected, atol=1e-4)


def test_what_lies_behind_the_tap_is_not_kept():
    names = [name for name, _ in build("test_resnet", stage=2).named_parameters()]
    assert any(".layer2." in name for name in names)
    assert not any(".layer3." in name or ".layer4." in name for name in names)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("test_resnet", 1),
        ("test_convnext", 1),
        ("test_vit", None),
        ("test_vit", 0),
        ("swin_tiny_patch4_window7_224", 0),
        ("swin_tiny_patch4_window7_224", None),
    ],
)
@pytest.mark.parametrize(("row", "column"), [(0, 1), (1, 0)])
def test_regions_are_numbered_row_by_row(name, stage, row, column):
    encoder = build(name, stage=stage).eval()
    found_row, found_column = responds(encoder, row, column)
    assert (found_row >= encoder.height // 2, found_column >= encoder.width // 2) == (row, column)


@pytest.mark.parametrize(
    ("name", "grid"), [("test_resnet", 2), ("test_vit", 4), ("efficientvit_b0", 2), ("resnet18", 2)]
)
def test_the_input_size_can_be_chosen(name, grid):
    encoder = build(name, size=64)
    assert (encoder.preprocessing.size, encoder.height, encoder.width) == (64, grid, grid)


def test_preprocessing_is_the_backbones_own():
    settings = build("tf_efficientnet_lite0", resize="crop").preprocessing
    own = timm.get_pretrained_cfg("tf_efficientnet_lite0")
    assert settings == Preprocessing(224, "crop", own.interpolation, own.mean, own.std)


def test_options_are_passed_on_to_timm():
    assert len(build("test_vit", options={"depth": 2}).backbone.blocks) == 2


# --- what trains


def test_a_frozen_encoder_trains_nothing_and_takes_no_gradient():
    encoder = build()
    assert not encoder.trains
    assert trained(encoder) == []
    assert not encoder.train()(noise(encoder)).grid.requires_grad


def test_all_of_an_encoder_can_be_trained():
    encoder = build(trainable="all")
    assert encoder.trains
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder(noise(encoder)).grid.requires_grad


@pytest.mark.parametrize(
    ("name", "last", "parts"),
    [
        ("tf_efficientnet_lite0", 1, ["blocks.5.", "blocks.6.", "conv_head.weight", "bn2."]),
        (
            "tf_efficientnet_lite0",
            2,
            ["blocks.3.", "blocks.4.", "blocks.5.", "blocks.6.", "conv_head.weight", "bn2."],
        ),
        ("resnet18", 1, ["layer4."]),
        ("resnet18", 3, ["layer2.", "layer3.", "layer4."]),
        ("vit_tiny_patch16_224", 1, ["blocks.11.", "norm."]),
        ("vit_tiny_patch16_224", 2, ["blocks.10.", "blocks.11.", "norm."]),
    ],
)
def test_the_last_stages_train_and_the_rest_does_not(name, last, parts):
    encoder = build(name, trainable={"last_stages": last})
    for parameter, tensor in encoder.backbone.named_parameters():
        inside = parameter.startswith(tuple(parts))
        assert tensor.requires_grad == inside, parameter


def test_more_stages_than_there_are_is_all_of_them():
    encoder = build("test_resnet", trainable={"last_stages": 99})
    assert all(parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("stage", [2, -3])
def test_the_last_stages_end_at_the_tap(stage):
    encoder = build("test_resnet", stage=stage, trainable={"last_stages": 1})
    assert trained(encoder, depth=1) == ["layer2"]
    grid = encoder.train()(noise(encoder)).grid
    grid.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None) == (".layer2." in name), name


def test_frozen_statistics_do_not_move_while_the_others_do():
    encoder = build("test_resnet", trainable={"last_stages": 1}).train()
    before = statistics(encoder)
    for _ in range(2):
        encoder(noise(encoder))
    after = statistics(encoder)
    assert len(before) > 8
    for name, mean in before.items():
        assert torch.equal(mean, after[name]) == (".layer4." not in name), name


def test_a_frozen_encoder_says_the_same_in_training():
    encoder = build("test_resnet")
    images = noise(encoder)
    assert torch.equal(encoder.train()(images).grid, encoder.eval()(images).grid)
    encoder = build("test_resnet", trainable="all")
    assert not torch.allclose(encoder.train()(images).grid, encoder.eval()(images).grid)


def test_an_encoder_on_hold_is_frozen_whole_until_it_is_let_go():
    encoder = build("test_resnet", trainable={"last_stages": 2}, positions=True)
    encoder.hold(True)
    before, images = statistics(encoder), noise(encoder)
    assert encoder.trains
    grid = encoder.train()(images).grid
    assert not grid.requires_grad
    assert torch.equal(grid, encoder.eval()(images).grid)
    encoder.hold(False)
    assert encoder.training
    assert encoder(images).grid.requires_grad
    moved = [k for k, v in statistics(encoder).items() if not torch.equal(v, before[k])]
    assert moved
    assert all(".layer3." in name or ".layer4." in name for name in moved)


def test_measuring_leaves_no_trace():
    encoder = build("test_resnet", trainable="all")
    assert encoder.training
    assert all(int(v) == 0 for k, v in encoder.state_dict().items() if "num_batches" in k)


# --- weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(7)
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)  # its classifier included
    return path


def test_weights_of_a_file_are_loaded_without_their_classifier(weights):
    encoder = build(weights=str(weights))
    given = load_file(weights)
    for name, tensor in encoder.backbone.state_dict().items():
        assert torch.equal(tensor, given.pop(name)), name
    assert sorted(given) == ["fc.bias", "fc.weight"]


def test_the_weights_of_a_saved_model_are_not_looked_for(tmp_path):
    settings = build().preprocessing
    config = EncoderConfig(name="test_resnet", weights=str(tmp_path / "gone.safetensors"))
    assert build_encoder(config, preprocessing=settings).preprocessing == settings


def test_weights_of_another_model_are_refused(weights):
    said = refusal("test_vit", weights=str(weights))
    assert said.startswith(f"{weights} does not fit test_vit: Missing key(s) in state_dict: ")
    assert said.endswith("Give the weights of this very model, or change encoder.name.")
    assert len(said) < 400 + len(str(weights))


@pytest.mark.parametrize("fault", ["missing", "extra", "shape"])
def test_weights_that_fit_in_part_are_refused(weights, fault):
    tensors = load_file(weights)
    if fault == "missing":
        del tensors["layer4.0.conv1.weight"]
    else:
        tensors["extra" if fault == "extra" else "layer4.0.conv1.weight"] = torch.ones(2)
    save_file(tensors, weights)
    words = {"missing": "Missing key", "extra": "Unexpected key", "shape": "size mismatch for"}
    assert f"does not fit test_resnet: {words[fault]}" in refusal(weights=str(weights))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pkl", ".ckpt"])
def test_what_may_be_pickled_is_not_read(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n")
    said = refusal(weights=str(path))
    assert said.startswith(f"{path} may hold pickled code and is not read; give a .safetensors")


def test_a_truncated_file_of_weights_is_refused(weights):
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "model.safetensors is not a whole .safetensors file: " in refusal(weights=str(weights))


def test_a_missing_file_of_weights_is_answered_with_what_to_type(tmp_path):
    path = tmp_path / "gone.safetensors"
    assert refusal(weights=str(path)) == (
        f"There is no file {path} with the encoder's weights; give encoder.weights=FILE "
        "(.safetensors), encoder.weights=download, or encoder.weights=random."
    )


def test_weights_are_downloaded_from_timms_place(weights, monkeypatch):
    asked = []

    def download(*place: str) -> str:
        asked.append(place)
        return str(weights)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    encoder = build(weights="download")
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    assert torch.equal(encoder.backbone.bn1.weight, load_file(weights)["bn1.weight"])


def test_a_download_that_fails_names_the_file_to_get(monkeypatch):
    def offline(*place: str) -> str:
        raise ConnectionError("a long story\nabout sockets")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    assert refusal("resnet18", weights="download") == (
        "The weights of resnet18 could not be downloaded (ConnectionError). On another machine get "
        "the file model.safetensors of the Hugging Face model timm/resnet18.a1_in1k, put it at "
        "weights/resnet18.a1_in1k.safetensors, and type "
        "encoder.weights=weights/resnet18.a1_in1k.safetensors."
    )


def test_a_backbone_that_nobody_trained_cannot_be_downloaded():
    said = refusal("cspresnet50d", weights="download")
    assert said.startswith("timm offers no pretrained weights for cspresnet50d; give encoder.wei")


def test_the_shared_lite0_sees_photographs(shared):
    path = shared / "weights" / "tf_efficientnet_lite0.safetensors"
    encoder = build("tf_efficientnet_lite0", weights=str(path)).eval()
    given = load_file(path)
    assert all(torch.equal(v, given[k]) for k, v in encoder.backbone.state_dict().items())
    photographs = sorted((shared / "flickr8k" / "images").glob("*.jpg"))[:2]
    squares = [encoder.preprocessing.square(Image.open(p).convert("RGB")) for p in photographs]
    features = encoder(torch.stack([torch.from_numpy(s).permute(2, 0, 1) for s in squares]))
    assert features.grid.shape == (2, 49, 1280)
    assert (features.height, features.width) == (7, 7)
    assert features.grid.isfinite().all()
    assert not torch.allclose(features.pooled[0], features.pooled[1], atol=0.1)


# --- what people are told


def test_an_unknown_backbone_is_answered_with_one_like_it():
    assert refusal("reznet18") == (
        "timm has no model 'reznet18'; did you mean 'resnet18'? See timm.list_models()."
    )
    assert refusal("qqqqq") == "timm has no model 'qqqqq'; see timm.list_models()."
    assert refusal("resnet18.nobody") == (
        "timm cannot build resnet18.nobody: Invalid pretrained tag (nobody) for resnet18."
    )


@pytest.mark.parametrize("stage", [5, -6])
def test_an_unknown_stage_is_answered_with_those_there_are(stage):
    assert refusal("resnet18", stage=stage) == (
        f"encoder.stage is {stage}, but resnet18 has 5 stages: give 0 to 4, or leave it out for "
        "the final features."
    )


def test_options_that_timm_does_not_know_are_refused():
    said = refusal("test_resnet", options={"colour": "red"})
    assert said.startswith("timm cannot build test_resnet with encoder.options {'colour': 'red'}: ")
    assert "unexpected keyword argument 'colour'" in said
    assert said == refusal("test_resnet", options={"colour": "red"}, size=64)


@pytest.mark.parametrize("option", ["pretrained", "checkpoint_path", "pretrained_cfg"])
def test_options_cannot_bring_in_weights(option):
    assert refusal(options={option: True}) == (
        f"encoder.options has '{option}', which chooses weights; give encoder.weights."
    )


@pytest.mark.parametrize("fields", [{"name": "mixer_s32_224"}, {"options": {"in_chans": 1}}])
def test_a_backbone_without_a_grid_is_refused(fields):
    assert "gives no grid of features for pictures of" in refusal(**fields)
