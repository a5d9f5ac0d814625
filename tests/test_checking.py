"""`cutline check`: the published equations against known answers."""

import inspect

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cutline import checking, functional, losses
from support.terminal import cutline

OUTSIDE = {"Features", "RnnGradients"}  # no functions


def test_every_published_equation_is_checked():
    published = set(functional.__all__) - OUTSIDE
    assert set(checking.CHECKS) >= published
    for name in set(checking.CHECKS) - published:
        assert inspect.isfunction(getattr(losses, name))


@pytest.mark.parametrize("name", checking.CHECKS)
def test_a_function_agrees_with_its_known_answer(name):
    (checked,) = checking.check_functions({name: checking.functions_of()[name]})
    assert checked.right, checked
    assert all(error < 1e-12 for error in checked.errors.values())


@pytest.mark.parametrize("name", checking.CHECKS)
def test_a_function_that_is_off_by_a_millionth_is_found_out(name):
    read, function = checking.CHECKS[name].read, checking.functions_of()[name]

    def off(**arguments):
        return tuple(torch.as_tensor(one) * (1 + 1e-6) for one in read(function(**arguments)))

    check = checking.CHECKS[name]._replace(read=tuple)
    with pytest.MonkeyPatch.context() as during:
        during.setitem(checking.CHECKS, name, check)
        (checked,) = checking.check_functions({name: off})
    assert not checked.right
    assert max(checked.errors.values()) == pytest.approx(5e-7, rel=1e-3)


def test_the_answers_are_those_of_pytorch_where_it_has_the_function():
    loss = checking.CHECKS["temporal_softmax_loss"]
    scores, targets = (torch.from_numpy(loss.arguments[name]) for name in ("scores", "targets"))
    wanted = F.cross_entropy(scores.mT, targets, ignore_index=0, reduction="sum") / len(scores)
    assert loss.answers(**loss.arguments)["loss"] == pytest.approx(float(wanted), rel=1e-12)
    given = checking.CHECKS["dot_product_attention"].arguments
    query, grid = torch.from_numpy(given["h"]), torch.from_numpy(given["A"]).flatten(2).mT
    context = F.scaled_dot_product_attention(query.unsqueeze(1), grid, grid)[:, 0]
    answer = checking.CHECKS["dot_product_attention"].answers(**given)["context"]
    assert answer == pytest.approx(context.numpy(), rel=1e-12)


def test_the_command_prints_an_error_for_each_result():
    done = cutline("check")
    assert done.returncode == 0, done.stderr
    for line in ("next_h error: ", "weights error: ", "dWx error: ", "loss error: "):
        assert line in done.stdout
    assert "all errors are at most 1e-09" in done.stdout


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return (x @ Wx + h @ Wh).tanh()", "(above 1e-09)"),
        ("return (x @ Wx).sum(0)", "next_h has shape (6,), not (3, 6)"),
        ("raise NotImplementedError('later')", "NotImplementedError: later"),
        ("pass", "no result: "),
        ("return x @ Wx * float('nan')", "error: inf"),
    ],
)
def test_a_function_of_ones_own_is_judged(tmp_path, body, words):
    file = tmp_path / "mine.py"
    file.write_text(f"def rnn_step(x, h, Wx, Wh, b):\n    {body}\n")
    done = cutline("check", file)
    assert done.returncode == 1
    assert words in done.stdout
    assert "1 of 1 functions are wrong: rnn_step" in done.stderr


def test_a_right_function_of_ones_own_passes(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def rnn_step(x, h, Wx, Wh, b):\n    return (b + h @ Wh + x @ Wx).tanh()\n")
    done = cutline("check", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 functions, 1 results" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is no Python file; give one that ends in .py"),
        ("def rnn_stpe(): ...", "has none of the functions that can be checked: dot_product_"),
        ("import nothing_of_the_kind", "cannot be run (ModuleNotFoundError"),
        ("def (:", "cannot be run (SyntaxError"),
    ],
)
def test_a_file_that_has_no_function_is_refused(tmp_path, text, words):
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    done = cutline("check", file)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_relative_error_is_the_largest_of_all_places():
    assert checking.relative_error(np.array([1.0, 2.0]), np.array([1.0, 2.2])) == pytest.approx(
        0.2 / 4.2
    )
    assert checking.relative_error(np.zeros(3), np.zeros(3)) == 0
