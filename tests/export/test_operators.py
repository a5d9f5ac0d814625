"""What PyTorch's exporter writes wrongly is written right, whatever the sizes are."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from cutline.export.operators import OPERATORS


class Repeated(nn.Module):
    """Rows repeated as often as there are captions of each, along every axis."""

    def forward(self, rows: Tensor, blocks: Tensor, captions: Tensor) -> list[Tensor]:
        times = captions.shape[0] // rows.shape[0]
        return [
            rows.repeat_interleave(times, 0),
            rows.repeat_interleave(times),
            rows[:, 0].repeat_interleave(times, 0),
            blocks.repeat_interleave(times, 1),
            blocks.repeat_interleave(times, -1),
            blocks.repeat_interleave(2, 0),
        ]


def given(images: int, captions: int) -> list[Tensor]:
    return [torch.randn(images, 3), torch.randn(images, 3, 4), torch.randn(images * captions, 2)]


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("graph") / "repeated.onnx"
    free = {0: torch.export.Dim.AUTO}
    program = torch.onnx.export(
        Repeated().eval(),
        tuple(given(2, 3)),
        dynamo=True,
        dynamic_shapes=(free, free, free),
        custom_translation_table=OPERATORS,
        verbose=False,
    )
    program.save(path)
    return onnxruntime.InferenceSession(path)


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("captions", [1, 2, 5])
def test_rows_are_repeated_as_pytorch_repeats_them(session, images: int, captions: int):
    arrays = given(images, captions)
    names = [value.name for value in session.get_inputs()]
    found = session.run(None, dict(zip(names, (a.numpy() for a in arrays), strict=True)))
    for one, other in zip(Repeated()(*arrays), found, strict=True):
        assert np.array_equal(one.numpy(), other)
