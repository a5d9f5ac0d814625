"""Checkpoints without pickle: what goes in comes out, and what cannot go in is refused."""

import json
import math
import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cutline.errors import UsageError
from cutline.training.checkpoints import SafeCheckpointIO

STORE = SafeCheckpointIO()
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
TREES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "last.ckpt"


def there_and_back(checkpoint: dict, path: Path) -> dict:
    STORE.save_checkpoint(checkpoint, path)
    return STORE.load_checkpoint(path)


def same(left, right) -> bool:
    """Equal in kind as well as in value: 1 is not True, nor a list a tuple."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return [same(*keys) for keys in zip(left, right, strict=True)] == [True] * len(
            left
        ) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


# --- there and back


@settings(max_examples=60, deadline=None)
@given(tree=st.dictionaries(KEYS, TREES, max_size=5))
def test_any_tree_comes_back_in_kind_and_value(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("tree") / "last.ckpt"
    assert same(there_and_back(tree, path), tree)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, 4),
        torch.randn(3, 4).T,
        torch.randn(2, 3, dtype=torch.float64)[:, 1],
        torch.tensor(3.5),
        torch.empty(0, 4),
        torch.arange(5),
        torch.tensor([True, False]),
        torch.randn(4).bfloat16(),
        torch.tensor([math.inf, -math.inf]),
        torch.get_rng_state(),
        torch.nn.Parameter(torch.ones(2)),
    ],
    ids=lambda tensor: f"{tensor.dtype}{tuple(tensor.shape)}",
)
def test_tensors_come_back_to_the_bit(tensor, path):
    found = there_and_back({"a": [tensor]}, path)["a"][0]
    assert found.dtype == tensor.dtype
    assert torch.equal(found, tensor)
    assert not found.requires_grad


def test_tensors_that_share_memory_come_back_apart(path):
    weight = torch.ones(4)
    found = there_and_back({"a": weight, "b": weight, "c": weight[:2]}, path)
    assert torch.equal(found["c"], torch.ones(2))
    found["a"][0] = 7
    assert torch.equal(found["b"], torch.ones(4))


def test_numbers_that_json_does_not_know_come_back(path):
    found = there_and_back({"best": math.inf, "worst": -math.inf, "lost": math.nan}, path)
    assert (found["best"], found["worst"]) == (math.inf, -math.inf)
    assert math.isnan(found["lost"])


def test_an_optimisers_state_can_be_gone_on_with(path):
    def trained(steps: int, state: dict | None = None) -> tuple[list[torch.Tensor], dict]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        adam = torch.optim.AdamW(layer.parameters(), lr=0.1)
        if state:
            layer.load_state_dict(state["weights"])
            adam.load_state_dict(state["adam"])
        for _ in range(steps):
            adam.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            adam.step()
        return list(layer.parameters()), {"weights": layer.state_dict(), "adam": adam.state_dict()}

    whole, _ = trained(5)
    _, halfway = trained(2)
    resumed, _ = trained(3, there_and_back(halfway, path))
    assert all(torch.equal(*pair) for pair in zip(whole, resumed, strict=True))


def test_ordered_dicts_and_paths_come_back_as_plain_ones(path):
    found = there_and_back({"state": OrderedDict(b=1, a=2), "where": Path("x/y")}, path)
    assert found == {"state": {"b": 1, "a": 2}, "where": "x/y"}
    assert list(found["state"]) == ["b", "a"]


def test_a_dict_that_looks_like_the_format_is_not_taken_for_it(path):
    tree = {"tensor": "0", "dict": [["a", 1]], "list": {"list": []}, "tuple": ({"tuple": 1},)}
    assert same(there_and_back(tree, path), tree)


# --- safely


def test_nothing_in_the_file_is_pickled(path):
    STORE.save_checkpoint({"epoch": 3, "state": {"w": torch.ones(2)}}, path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert json.loads(header["__metadata__"]["tree"])["dict"][0] == ["epoch", 3]
    assert list(load_file(path)) == ["0"]
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=False)


@pytest.mark.parametrize("item", [print, {1, 2}, 1j, object(), b"bytes", lambda: 0])
def test_what_only_pickle_could_hold_is_refused(item, path):
    kind = type(item).__name__
    with pytest.raises(TypeError, match=f"cannot hold a {kind} without pickle"):
        STORE.save_checkpoint({"a": [item]}, path)
    assert not path.exists()


def test_a_save_that_fails_leaves_the_old_checkpoint(path, monkeypatch):
    STORE.save_checkpoint({"epoch": 1}, path)

    def full(tensors, draft, metadata):
        Path(draft).write_bytes(b"half of it")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("cutline.training.checkpoints.save_file", full)
    with pytest.raises(UsageError, match=r"last\.ckpt cannot be written \(No space left on dev"):
        STORE.save_checkpoint({"epoch": 2}, path)
    assert STORE.load_checkpoint(path) == {"epoch": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_replaces_the_one_before(path):
    for epoch in range(3):
        STORE.save_checkpoint({"epoch": epoch}, path)
    assert STORE.load_checkpoint(path) == {"epoch": 2}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused(path, share):
    STORE.save_checkpoint({"w": torch.randn(50, 50), "epoch": 3}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UsageError, match=r"last\.ckpt cannot be read \(.*\); remove it and train"):
        STORE.load_checkpoint(path)


def test_other_files_are_refused(path):
    path.parent.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        STORE.load_checkpoint(path)
    save_file({"w": torch.ones(1)}, path)
    with pytest.raises(UsageError, match="cannot be read"):
        STORE.load_checkpoint(path)
    save_file({"w": torch.ones(1)}, path, metadata={"tree": "not json"})
    with pytest.raises(UsageError, match="cannot be read"):
        STORE.load_checkpoint(path)
    torch.save({"epoch": 1}, path)
    with pytest.raises(UsageError, match="cannot be read"):
        STORE.load_checkpoint(path)


def test_a_checkpoint_is_removed_though_it_may_be_gone(path):
    STORE.save_checkpoint({"epoch": 1}, path)
    for _ in range(2):
        STORE.remove_checkpoint(path)
        assert not path.exists()
