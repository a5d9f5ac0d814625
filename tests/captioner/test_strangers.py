"""Model folders from strangers: each is refused in one sentence, before memory is spent on it."""

import json
import os
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file, save_file

import cutline as package
from cutline.captioner import ModelConfig, load
from cutline.config import DecoderConfig, EncoderConfig, SearchConfig
from cutline.data.scenes import ScenePicture
from cutline.errors import ModelError, UsageError
from cutline.models import find_model
from cutline.network import Model, average, build_network
from cutline.network.storage import squeeze
from cutline.vocabulary import Vocabulary
from support.terminal import cutline

HUGE = 10**9
GATES = "decoder.decoder.b"
MATRIX = "decoder.decoder.L_h.weight"
SHIPPED = find_model("flickr8k-small")
BACKENDS = ["onnx", "torch"]


def model(name="test_resnet", storage="float32", **options) -> Model:
    torch.manual_seed(0)
    encoder = EncoderConfig(name=name, weights="random", options=options)
    fields = {"name": "soft", "embedding": 8, "hidden": 8, "attention": 8}
    decoder = TypeAdapter(DecoderConfig).validate_python(fields)
    vocabulary = Vocabulary.build(["a red circle and a blue square"], min_frequency=1)
    network = build_network(encoder, decoder, vocabulary_size=len(vocabulary)).eval()
    config = ModelConfig(
        cutline_version=package.__version__,
        encoder=encoder,
        decoder=decoder,
        vocabulary_size=len(vocabulary),
        grid=(network.encoder.height, network.encoder.width),
        preprocessing=network.encoder.preprocessing,
        search=SearchConfig(beam=2, max_words=4),
        storage=storage,
    )
    return Model(config, network, vocabulary)


def write(made: Model, folder: Path) -> Path:
    """Write what PyTorch reads of a folder: all but the graphs, which take seconds to trace."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(made.config.model_dump_json())
    made.vocabulary.save(folder / "tokenizer.json")
    state = squeeze(made.network.state_dict(), made.config.storage)
    save_file(state, folder / "model.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path):
    """The model that comes along, which has graphs."""
    return shutil.copytree(SHIPPED, tmp_path / "stranger")


@pytest.fixture
def small(tmp_path):
    """A small one, for PyTorch."""
    return write(model(storage="int8"), tmp_path / "small")


def refusal(folder, backend="onnx") -> str:
    with pytest.raises(ModelError) as caught:
        load(folder, backend=backend)
    said = str(caught.value)
    assert folder.name in said
    assert "\n" not in said
    assert said.isprintable()
    assert len(said) < 600 + len(str(folder))
    return said


def change(folder, place, value):
    content = json.loads((folder / "config.json").read_text())
    *outer, last = place.split(".")
    part = content
    for key in outer:
        part = part[key]
    part[last] = value
    (folder / "config.json").write_text(json.dumps(content))


def change_tensors(folder, **tensors):
    found = load_file(folder / "model.safetensors")
    found |= {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    kept = {name: tensor for name, tensor in found.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors")


@pytest.mark.parametrize("value", [HUGE, -1, 2.5, "64", True, None, float("nan"), [8], 10**400])
@pytest.mark.parametrize(
    "field",
    ["decoder.hidden", "vocabulary_size", "search.beam", "search.max_words", "preprocessing.size"],
)
def test_a_size_that_is_absurd_or_no_whole_number_is_refused(folder, field, value):
    change(folder, field, value)
    assert field.rpartition(".")[2] in refusal(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preprocessing.std", [0, 1, 1]),
        ("preprocessing.std", [float("nan")] * 3),
        ("preprocessing.mean", [0.5]),
        ("preprocessing.mean", [float("inf")] * 3),
        ("search.length_penalty", float("nan")),
        ("encoder.options", {"depth": HUGE}),
        ("encoder.options", {"many": [1] * 5000}),
        ("encoder.name", "x" * 1000),
    ],
)
def test_a_field_beyond_its_bounds_is_named(folder, field, value):
    change(folder, field, value)
    assert field.rpartition(".")[2] in refusal(folder)


@pytest.mark.parametrize(
    "name", ["../../x", "hf-hub:timm/resnet18", "local-dir:/tmp", "", "test_resnet.x:y", "\x1b[2J"]
)
def test_no_name_of_an_encoder_reaches_the_network_or_the_disk(small, name, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    change(small, "encoder.name", name)
    assert "timm" in refusal(small, "torch")


@pytest.mark.parametrize("name", ["vit_7b_patch16_dinov3", "vgg19", "sequencer2d_l"])
def test_a_giant_is_refused_without_being_built(small, name):
    change(small, "encoder.name", name)
    assert "does not fit config.json" in refusal(small, "torch")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: None, "is missing"),
        (lambda _: torch.ones(5), "has shape 5, not"),
        (lambda _: torch.ones(0), "has shape 0, not"),
        (lambda gates: gates.to(torch.int64), "is of type I64"),
        (lambda gates: gates.to(torch.float8_e4m3fn), "is of type F8_E4M3"),
        (lambda gates: gates * torch.nan, "not finite"),
        (lambda gates: gates - torch.inf, "not finite"),
        (lambda gates: last(gates, torch.nan), "not finite"),
        (lambda gates: last(gates, torch.inf), "not finite"),
    ],
)
def test_a_tensor_that_is_not_the_models_is_named(folder, small, backend, change, said):
    given, name = (folder, GATES) if backend == "onnx" else (small, GATES[8:])
    before = load_file(given / "model.safetensors")
    change_tensors(given, **{name: change(before[name])})
    words = refusal(given, backend)
    assert said in words or "lies in another place" in words
    assert backend == "onnx" or f"'{name}'" in words


def last(tensor, value):
    tensor[-1] = value
    return tensor


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda scale: scale * 0, "not( all)? positive"),
        (lambda scale: -scale, "not( all)? positive"),
        (lambda scale: last(scale, 0), "not( all)? positive"),
        (lambda scale: scale * torch.nan, "not( all)? positive"),
        (lambda scale: scale * 0 + 3e38, "not finite"),
        (lambda _: torch.ones(3), "is of type I8|has shape 3, not"),
        (lambda scale: scale.unsqueeze(1), "is of type I8|has shape"),
        (lambda scale: scale.half(), "is of type"),
        (lambda _: None, "is of type I8|is missing"),
    ],
)
def test_a_scale_is_positive_and_one_for_each_row(folder, small, backend, change, said):
    given, name = (folder, MATRIX) if backend == "onnx" else (small, MATRIX[8:])
    before = load_file(given / "model.safetensors")[f"{name}.scale"]
    change_tensors(given, **{f"{name}.scale": change(before)})
    assert re.search(f"{said}|lies in another place", refusal(given, backend))


def test_tensors_that_are_of_no_part_are_named(small):
    change_tensors(small, extra=torch.ones(3))
    assert "'extra' is of no part" in refusal(small, "torch")
    change_tensors(small, extra=None, **{"sureness.mean": torch.ones(3)})
    assert "mean' is of no part" in refusal(small, "torch")


def header(length, text=b"{}", data=b""):
    return struct.pack("<Q", length) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\1\2",
        header(2**60),
        header(2, b"[]"),
        header(900_000, b"[" * 900_000),
        header(3_000_000, b" " * 3_000_000),
        header(60, b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'.ljust(60), b"x" * 8),
        header(60, b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}'.ljust(60), b"x" * 4),
        header(60, b'{"a":{"dtype":"F9","shape":[1],"data_offsets":[0,4]}}'.ljust(60), b"x" * 4),
        header(60, b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}'.ljust(60), b"x" * 4),
        header(60, b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(60), b"x" * 9),
    ],
)
def test_a_header_that_lies_is_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    assert "is cut off or damaged" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_what_is_no_file_is_refused_and_waits_for_nobody(folder, name):
    path = folder / name
    for put, said in (
        (os.mkfifo, "a pipe"),
        (os.mkdir, "a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
        (lambda path: path.symlink_to("/nowhere"), "No such file"),
    ):
        path.unlink() if path.is_symlink() or not path.is_dir() else path.rmdir()
        put(path)
        assert said in refusal(folder)


def test_links_to_files_are_followed(tmp_path):
    """As the caches of Hugging Face's hub have them."""
    for path in SHIPPED.iterdir():
        (tmp_path / path.name).symlink_to(path)
    photo = ScenePicture(3, 64).open()
    assert load(tmp_path).caption(photo).text == load().caption(photo).text


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_file_of_absurd_size_is_refused_before_it_is_read(folder, name):
    os.truncate(folder / name, 2**31)
    assert "is not read" in refusal(folder)


@pytest.mark.parametrize(
    "content", [b"null", b"[" * 90_000, b'{"format":' + b"1" * 5000 + b"}", b"\xff", b"", b"[]"]
)
def test_config_that_is_no_configuration_is_refused(folder, content):
    (folder / "config.json").write_bytes(content)
    assert "config.json" in refusal(folder)


def test_a_configuration_nested_too_deep_is_refused(folder):
    change(folder, "provenance", json.loads('{"a":' * 300 + "1" + "}" * 300))
    assert "nested too deep" in refusal(folder)


def words_of(**changes):
    vocab = {w: n for n, w in enumerate(("<pad>", "<start>", "<end>", "<unk>"))}
    return {"version": "1.0", "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": vocab}
            | changes}  # fmt: skip


SPECIAL = words_of()["model"]["vocab"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not a tokenizer"),
        (words_of(vocab={**SPECIAL, "a": 9}), "not numbered"),
        (words_of(vocab={**SPECIAL, "a": 3}), "not numbered|first four"),
        (words_of(vocab={"a": 0}), "first four"),
        (words_of(vocab={**SPECIAL, "a" * 2000: 4}), "letters"),
        (words_of(vocab={**SPECIAL, **{f"w{n}": n for n in range(4, 400_020)}}), "200,000 words"),
        (words_of(type="BPE", merges=[]), "of the kind BPE"),
        (
            words_of() | {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
            "has 4 words",  # what splits captions is not read to caption
        ),
        (words_of(), "has 4 words, but the model was trained with"),
    ],
)
def test_a_tokenizer_of_another_kind_is_refused(folder, content, said):
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert any(words in refusal(folder) for words in said.split("|"))


@pytest.mark.parametrize("beam", [1, 3])
def test_weights_that_are_finite_but_give_no_numbers_end_in_a_sentence(folder, beam):
    scale = load_file(folder / "model.safetensors")[f"{MATRIX}.scale"]
    change_tensors(folder, **{f"{MATRIX}.scale": scale * 0 + 2e36})
    with pytest.raises(ModelError, match="gives no probabilities"):
        load(folder).caption(ScenePicture(3, 64).open(), beam=beam)


# --- weights that are not finite, elsewhere


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_model_that_is_not_finite_is_neither_saved_nor_averaged(tmp_path, value):
    broken, whole = model(), model()
    with torch.no_grad():
        broken.network.get_parameter("decoder.b")[3] = value
    with pytest.raises(ModelError, match=r"not finite .*'decoder.b' is the first"):
        broken.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError, match="leave it out"):
        average([whole, broken])
    with pytest.raises(UsageError, match="a positive weight for each"):
        average([whole, whole], [1, torch.nan])


def test_what_half_precision_cannot_hold_is_not_rounded_to_infinity():
    large = model()
    with torch.no_grad():
        large.network.get_parameter("decoder.L_h.weight").fill_(1e6)
    with pytest.raises(ModelError, match="as float16 has weights that are not finite"):
        large.stored_as("float16")


def test_models_lists_what_is_whole_and_names_what_is_broken(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    for name in ("good", "cut", "foreign", "deep", "pipe"):
        shutil.copytree(small, runs / name)
    (runs / "cut" / "model.safetensors").write_bytes(b"123")
    (runs / "foreign" / "config.json").write_text('{"architectures": ["Bert"]}')
    (runs / "deep" / "config.json").write_text("[" * 100_000)
    (runs / "pipe" / "config.json").unlink()
    os.mkfifo(runs / "pipe" / "config.json")
    done = cutline("models", runs)
    assert done.returncode == 1
    assert str(runs / "good") in done.stdout
    for name in ("cut", "foreign", "deep", "pipe"):
        assert str(runs / name) in done.stderr
    assert len(done.stderr.splitlines()) == 4


# --- what is built without memory is what was built with it


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("test_resnet", {"drop_path_rate": 0.1}),
        ("test_vit", {"depth": 2}),
        ("test_vit_relpos", {}),  # computes tables that no file holds
        ("test_vit_relpos", {"drop_path_rate": 0.1}),
    ],
)
def test_every_kind_of_backbone_comes_back_with_the_same_features(tmp_path, name, options):
    before = model(name, **options)
    after = Model.read(write(before, tmp_path / "model"))
    square = [before.captioner().square(ScenePicture(2, 64).open())]
    ours, theirs = (each.captioner().encode(square) for each in (before, after))
    assert torch.equal(ours.grid, theirs.grid)
    assert torch.equal(ours.pooled, theirs.pooled)
    kept = (*after.network.parameters(), *after.network.buffers())
    assert not any(tensor.is_meta for tensor in kept)


def test_a_backbone_that_cannot_be_built_without_memory_is_built_with_it(small, monkeypatch):
    from cutline.network import shell

    real, tried = shell.build_encoder, []

    def build(*arguments, **keywords):
        tried.append(1)
        if len(tried) == 1:
            raise NotImplementedError("a meta tensor has no numbers")
        return real(*arguments, **keywords)

    monkeypatch.setattr(shell, "build_encoder", build)
    load(small, backend="torch")
    assert len(tried) == 2
