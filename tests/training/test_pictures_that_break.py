"""No picture ends a training: unreadable ones are left out before it, later ones skipped in it."""

import pytest

import cutline
from cutline.config import read_recipe
from cutline.data import batches as batches_file
from cutline.errors import DataError
from cutline.training import train
from cutline.training.module import TrainingModule
from support.tiny import write_photographs, write_recipe


@pytest.fixture
def data(tmp_path):
    return write_photographs(tmp_path / "data")


def run(folder, data, *words, resume=False):
    """Train; return the history and what was said."""
    said: list[str] = []
    changes = [f"data.path={data}", f"data.cache={folder / 'cache'}", "training.threads=1", *words]
    recipe = read_recipe(write_recipe(folder), changes)
    found = train(recipe, folder / "out", resume=resume, say=said.append)
    return found.history, said


@pytest.fixture
def before_epoch(monkeypatch):
    """Return a function that has something done before the second epoch; no picture is kept."""
    monkeypatch.setattr(batches_file, "KEPT_IN_MEMORY", 0)
    start = TrainingModule.on_train_epoch_start

    def plan(change):
        def begin(self):
            start(self)
            if self.current_epoch == 1:
                change()

        monkeypatch.setattr(TrainingModule, "on_train_epoch_start", begin)

    return plan


@pytest.mark.parametrize(
    "words",
    [
        ("encoder.trainable=all",),
        ("encoder.trainable=all", "encoder.unfreeze_epoch=2"),
        ("encoder.trainable=none", "data.augment={}"),
        ("encoder.trainable=none",),
    ],
)
def test_unreadable_pictures_of_both_splits_are_left_out_and_named(words, data, tmp_path):
    images = data / "images"
    (images / "3.png").write_bytes(b"junk")
    (images / "5.png").write_bytes((images / "5.png").read_bytes()[:50])
    (images / "9.png").write_bytes(b"")
    history, said = run(tmp_path, data, *words)
    assert len(history) == 2
    left = [line for line in said if line.startswith("left out: ")]
    assert [name for line in left for name in ("3", "5", "9") if f"/{name}.png " in line] == [
        *("3", "5", "9")
    ]
    assert "trained on 6 images" in cutline.load(tmp_path / "out/last").config.provenance["data"]


def test_where_no_picture_can_be_read_a_sentence_says_so(data, tmp_path):
    for number in range(8, 12):
        (data / "images" / f"{number}.png").write_bytes(b"junk")
    with pytest.raises(DataError, match="Not one of the 4 validation images can be read, such as"):
        run(tmp_path, data)


@pytest.mark.parametrize("workers", [0, 1])
def test_pictures_that_break_in_training_are_skipped_and_named_once(
    workers, data, tmp_path, before_epoch
):
    def damage():
        (data / "images" / "3.png").unlink()
        (data / "images" / "6.png").write_bytes(b"junk")
        (data / "images" / "9.png").write_bytes(b"")

    before_epoch(damage)
    words = ("training.epochs=3", f"data.workers={workers}", "training.batch_size=2")
    history, said = run(tmp_path, data, *words)
    assert len(history) == 3
    warned = [line for line in said if line.startswith("warning: ") and "/images/" in line]
    assert sorted(line.partition("/images/")[2][:6] for line in warned) == [
        "3.png ",
        "6.png ",
        "9.png ",
    ]
    assert sum("left out of the score from now on" in line for line in warned) == 1


def test_a_batch_of_which_nothing_is_left_is_skipped(data, tmp_path, before_epoch):
    def damage():
        for number in range(1, 8):
            (data / "images" / f"{number}.png").unlink()

    before_epoch(damage)
    history, said = run(tmp_path, data, "training.batch_size=2")
    assert len(history) == 2
    assert sum("skipped from now on" in line for line in said) == 7


@pytest.mark.parametrize(("first", "which"), [(0, "training"), (8, "validation")])
def test_when_none_is_left_training_stops_and_the_models_stay(
    first, which, data, tmp_path, before_epoch
):
    def damage():
        for number in range(first, 12 if first else 8):
            (data / "images" / f"{number}.png").unlink()

    before_epoch(damage)
    with pytest.raises(DataError, match=f"Not one {which} picture can be read any more"):
        run(tmp_path, data)
    for name in ("best", "last"):
        assert cutline.load(tmp_path / "out" / name).config.provenance["epochs"] == 1


def test_a_run_is_resumed_with_its_words_though_a_picture_is_gone(data, tmp_path):
    history, _ = run(tmp_path, data)
    for number in (1, 5):  # the blue ones: no caption says blue any more
        (data / "images" / f"{number}.png").unlink()
    longer, said = run(tmp_path, data, "training.epochs=3", resume=True)
    assert longer[:2] == history
    assert len(longer) == 3
    assert any("missing or have no caption" in line for line in said)
