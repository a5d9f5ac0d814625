"""What trainings share: most are of how a run goes, and need no graphs of its models."""

import pytest

from cutline.captioner import loading

WITH_GRAPHS = {"test_run"}


@pytest.fixture(scope="module", autouse=True)
def _no_graphs(request):
    """Save models without tracing them, which takes seconds each, and caption on PyTorch.

    `test_run` and the export's own tests have the graphs.
    """
    if request.module.__name__.rpartition(".")[2] in WITH_GRAPHS:
        yield
        return
    with pytest.MonkeyPatch.context() as during:
        during.setattr("cutline.network.model.write_graphs", lambda *_: None)
        during.setattr(loading, "_on_onnx", _on_torch)
        yield


def _on_torch(folder, *_):
    return loading._on_torch(folder, "float32", None, "cpu")
