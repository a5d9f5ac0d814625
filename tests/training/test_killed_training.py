"""Runs that are killed at any moment and gone on with end with the weights of a calm one."""

import random
import time

import pytest
import torch

from support.runs import DECODERS, Run

SELF_CRITICAL = ("training.objective=self_critical",)
SAMPLING = ("training.scheduled_sampling.increase=0.5", "training.scheduled_sampling.every=1")
MOST = {
    "soft": {"decoder": "soft"},
    "hard": {"decoder": "hard"},
    "self-critical": {"words": SELF_CRITICAL},
    "two processes": {"size": 2},
}
OTHERS = {
    **{name: {"decoder": name} for name in DECODERS if name not in ("soft", "hard")},
    "hard, whole captions": {"decoder": "hard", "words": ("decoder.credit=caption",)},
    "hard, leave one out": {"decoder": "hard", "words": ("decoder.samples=2",)},
    "self-critical, greedy": {
        "words": (*SELF_CRITICAL, "training.self_critical.baseline=greedy"),
    },
    "self-critical, hard": {"decoder": "hard", "words": SELF_CRITICAL},
    "scheduled sampling": {"words": (*SAMPLING, "training.scheduled_sampling.maximum=0.5")},
    "augmentation": {"words": ("data.augment={}",)},
    "moving average": {"words": ("training.ema_decay=0.9",)},
    "fine-tuned": {"words": ("encoder.trainable=all",)},
    "fine-tuned late": {"words": ("encoder.trainable=all", "encoder.unfreeze_epoch=3")},
    "plateau": {"words": ("training.schedule=plateau", "training.decay_epochs=1")},
    "two processes, hard": {"decoder": "hard", "size": 2},
    "two processes, moving average": {"size": 2, "words": ("training.ema_decay=0.9",)},
}


def begun(folder, *, words=(), resume=False, epochs=30, **options):
    # what is drawn by chance is drawn here
    return Run(
        folder,
        "decoder.dropout=0.3",
        f"training.epochs={epochs}",
        *words,
        resume=resume,
        **options,
    )


def disturbed(tmp_path, case, *, kills, epochs, seed):
    """Return a calm run, and one that was killed so often, and how often it really was."""
    calm = begun(tmp_path / "calm", epochs=epochs, **case)
    draw, killed = random.Random(seed), 0
    for number in range(kills):
        run = begun(tmp_path / "killed", epochs=epochs, resume=number > 0, **case)
        run.wait_for_steps(draw.randint(1, 8))
        time.sleep(draw.uniform(0, 0.1))
        run.kill()
        killed += -9 in run.wait()
    return (
        calm.done(),
        begun(tmp_path / "killed", epochs=epochs, resume=True, **case).done(),
        killed,
    )


def check_same(one, other):
    assert one.figures == other.figures
    for name in ("last", "best"):
        weights = one.weights(name)
        assert weights.keys() == other.weights(name).keys()
        for key, value in other.weights(name).items():
            assert torch.equal(value, weights[key]), key
    left = {path.name for path in other.out.iterdir()}
    assert left == {"best", "last", "checkpoint.safetensors", "recipe.yaml", "tensorboard"}


@pytest.mark.slow
@pytest.mark.parametrize("case", MOST)
def test_ten_kills_leave_no_trace(case, tmp_path):
    calm, killed, times = disturbed(tmp_path, MOST[case], kills=10, epochs=30, seed=case)
    check_same(calm, killed)
    assert times == 10


@pytest.mark.slow
@pytest.mark.parametrize("case", OTHERS)
def test_two_kills_leave_no_trace_whatever_is_trained(case, tmp_path):
    calm, killed, times = disturbed(tmp_path, OTHERS[case], kills=2, epochs=8, seed=case)
    check_same(calm, killed)
    assert times == 2


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["half a checkpoint", "checkpoint drafted", "last moved away"])
def test_a_kill_while_the_checkpoint_or_a_model_is_written_leaves_no_trace(moment, tmp_path):
    calm = begun(tmp_path / "calm", epochs=4)
    killed = begun(tmp_path / "killed", epochs=4, patches=(moment,))
    assert killed.wait() == [-9]
    check_same(calm.done(), begun(tmp_path / "killed", epochs=4, resume=True).done())
