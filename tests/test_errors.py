"""Optional parts that are not installed are named with the line that installs them."""

import pytest

from cutline.errors import missing_dependency


@pytest.mark.parametrize(
    ("module", "extra"),
    [("torch", "train"), ("timm.layers", "train"), ("onnx_ir", "train"), ("matplotlib", "explain")],
)
def test_a_missing_module_is_answered_with_the_line_that_installs_its_part(module, extra):
    error = missing_dependency("backend='torch'", ModuleNotFoundError(name=module))
    said = f"backend='torch' needs an optional part: pip install 'cutline[{extra}]'"
    assert str(error) == said


@pytest.mark.parametrize("module", ["numpy", "torchlike", "cutline.network", None])
def test_any_other_missing_module_is_no_optional_part(module):
    assert missing_dependency("captioning", ModuleNotFoundError(name=module)) is None
