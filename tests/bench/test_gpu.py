"""Checks of a GPU against the CPU: run where there is one, able to fail, whole without one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import checks

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("onnx", "onnxruntime", "onnx_ir", "onnxscript", "pytest", "hypothesis", "tensorboard")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_gpu_computes_what_the_cpu_does(check):
    check("cuda")


def test_a_device_that_computes_something_else_is_found(monkeypatch):
    given = checks.some_captions
    calls = []

    def off(device):
        calls.append(device)
        made = given(device)
        wrong = made.features._replace(grid=made.features.grid * (1 + 1e-2 * (len(calls) % 2 == 0)))
        return made._replace(features=wrong)

    monkeypatch.setattr(checks, "some_captions", off)
    with pytest.raises(AssertionError):
        checks.decoders_agree("cpu")


def test_without_a_gpu_every_check_is_named_with_the_reason(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(checks.CHECKS)
    for line, check in zip(lines, checks.CHECKS, strict=True):
        assert line.startswith(f"skipped  {check.__name__.replace('_', ' ')}: ")
        assert "no CUDA" in line or "CUDA device" in line


def test_a_check_that_fails_is_told_and_the_others_are_run(monkeypatch, capsys):
    def broken(device):
        raise ValueError(f"no {device}")

    def whole(device):
        return f"{device} is well"

    monkeypatch.setattr(command, "CHECKS", (broken, whole))
    assert command.main(["--device", "cpu", "--no-speed"]) == 1
    out = capsys.readouterr().out
    assert "FAILED   broken: ValueError: no cpu" in out
    assert "passed   whole: cpu is well" in out


def test_the_table_has_a_row_for_each_work(tmp_path):
    assert "No GPU has been measured" in command.table(tmp_path)
    row = {"work": "beam5_32", "dtype": "float32", "unit": "images/s", "ours": 900.0}
    rows = [
        {**row, "plain": 30.0, "ratio": 30.0, "busy": 0.5, "megabytes": 800.0},
        {**row, "work": "train_dot_64", "plain": None, "ratio": None, "busy": None}
        | {"megabytes": None},
    ]
    facts = {"machine": {"device": "a card"}, "date": "2026-11-29", "rows": rows}
    (tmp_path / "gpu-a-card.json").write_text(json.dumps(facts))
    text = command.table(tmp_path)
    assert "| `beam5_32` | float32 | 30 | 900 images/s | 30.0x | 50% | 800 MB |" in text
    assert "| `train_dot_64` | float32 | - | 900 images/s | - | - | - |" in text
    assert text.endswith("2026-11-29; device a card.")


@pytest.mark.slow
def test_all_of_it_runs_with_nothing_but_the_tree_and_pytorch(tmp_path):
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in ABSENT)
    code = f"import sys; {blocked}from benchmarks.gpu.__main__ import main; sys.exit(main())"
    out = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, "-c", code, "--device", "cpu", "--quick", "--out", str(out)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed ") == len(checks.CHECKS)
    rows = json.loads(out.read_text())["rows"]
    assert {row["work"].split("_")[0] for row in rows} == {"train", "beam5", "encode"}
    assert all(row["ours"] > 0 for row in rows)
