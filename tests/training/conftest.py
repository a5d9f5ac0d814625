"""What trainings share: most are of how a run goes, and need no graphs of its models."""

import pytest

from support import tiny

WITH_GRAPHS = {"test_run"}


@pytest.fixture(scope="module", autouse=True)
def _no_graphs(request):
    """Trace no model; `test_run` and the export's own tests have the graphs."""
    if request.module.__name__.rpartition(".")[2] in WITH_GRAPHS:
        yield
        return
    with tiny.no_graphs():
        yield
