"""`open_dataset` recognises what a path holds, says what else is there, or says what it needs."""

import json
from collections import Counter

import pytest

from cutline.data.examples import Photograph
from cutline.data.readers import open_dataset
from cutline.data.readers.assemble import hold_out
from cutline.errors import DataError, UsageError

TOKENS = "a.jpg#0\tA dog .\nb.jpg#0\tA cat .\n"
CSV = "image,caption\na.jpg,A dog\nb.jpg,A cat\n"
ROW = '{"file_name": "a.jpg", "text": "A dog"}\n'
KARPATHY = json.dumps(
    {"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A dog"}]}]}
)
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "caption": "A dog"}],
    }
)
IN_ORDER = {
    "dataset_mine.json": (KARPATHY, "Karpathy JSON"),
    "captions_train.json": (COCO, "COCO captions"),
    "Flickr8k.token.txt": (TOKENS, "Flickr8k token file"),
    "captions.txt": (CSV, "image,caption CSV"),
    "metadata.jsonl": (ROW, "Hugging Face imagefolder"),
}


def test_karpathy_and_token_readers_agree_on_flickr8k(shared):
    json_, tokens = (open_dataset(shared / "flickr8k" / part) for part in (".", "text"))
    assert json_.kind == "Karpathy JSON"
    assert tokens.kind == "Flickr8k token file"
    assert Counter(example.split for example in json_.examples) == {"train": 6000, "val": 1000}
    assert {len(example.captions) for example in json_.examples} == {5}
    by_id = {example.image_id: example for example in tokens.examples}
    assert len(by_id) == len(json_.examples)
    assert all(by_id[example.image_id] == example for example in json_.examples)
    assert all(example.picture.path.is_file() for example in tokens.examples[:20])


def test_coco_takes_its_splits_from_its_file_names(shared):
    dataset = open_dataset(shared / "coco_mini")
    assert dataset.describe() == "COCO captions: 159 images, 795 captions (train 80, val 79)"
    assert all(example.picture.path.is_file() for example in dataset.examples)
    (note,) = dataset.notes
    assert note.startswith("80 pictures without a row: ")


def test_scenes_is_the_built_in_data_set_and_takes_options(monkeypatch):
    import cutline.data.scenes

    monkeypatch.setattr(cutline.data.scenes, "scenes_dataset", lambda **options: options)
    assert open_dataset("scenes", seed=3) == {"seed": 3}


def test_options_for_scenes_are_refused_elsewhere(tmp_path):
    with pytest.raises(UsageError, match="seed can only be given with 'scenes'"):
        open_dataset(tmp_path, seed=3)


@pytest.mark.parametrize("name", IN_ORDER)
def test_each_format_is_recognised_in_a_folder_and_as_a_file(name, tmp_path):
    text, kind = IN_ORDER[name]
    (tmp_path / name).write_text(text)
    for path in (tmp_path, str(tmp_path / name)):
        dataset = open_dataset(path)
        assert dataset.kind == kind
        first = dataset.examples[0]
        assert first.picture == Photograph(tmp_path / "a.jpg")
        assert first.captions[0].startswith("A dog")


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("mine.json", KARPATHY, "Karpathy JSON"),
        ("references.json", COCO, "COCO captions"),
        ("results_20130124.token", TOKENS, "Flickr30k token file"),
        ("tokens.txt", TOKENS, "Flickr8k token file"),
        ("mine.csv", "\ufeff" + CSV.replace("\n", "\r\n"), "image,caption CSV"),
    ],
)
def test_a_file_of_another_name_is_recognised_by_what_is_in_it(name, text, kind, tmp_path):
    (tmp_path / name).write_text(text, newline="")
    assert open_dataset(tmp_path / name).kind == kind


def test_of_several_formats_the_first_is_read_and_a_note_names_the_others(tmp_path):
    names = list(IN_ORDER)
    for at in range(len(names) - 2, -1, -1):
        for name in names[at:]:
            (tmp_path / name).write_text(IN_ORDER[name][0])
        dataset = open_dataset(tmp_path)
        assert dataset.kind == IN_ORDER[names[at]][1]
        assert all(IN_ORDER[name][1] in dataset.notes[0] for name in names[at + 1 :])
        assert "not read; give its own path" in dataset.notes[0]


def test_two_files_of_one_format_are_a_question_back(tmp_path):
    for name in ("dataset_a.json", "dataset_b.json"):
        (tmp_path / name).write_text(KARPATHY)
    with pytest.raises(
        DataError, match=r"holds 2 Karpathy JSON files; give one: .*dataset_a\.json"
    ):
        open_dataset(tmp_path)


def test_what_does_not_exist_is_answered_with_what_may_be_given(tmp_path):
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path / "gone")
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/gone does not exist. Give a file or a folder with")
    assert all(name.split("_")[0] in said for name in IN_ORDER)
    assert said.endswith("or the built-in data set, as in 'cutline data check scenes'.")


def test_nearly_scenes_is_answered_with_scenes():
    with pytest.raises(DataError, match=r"scene does not exist \(did you mean 'scenes'\?\)"):
        open_dataset("scene")


def test_a_folder_above_data_sets_is_answered_with_them(tmp_path):
    (tmp_path / "flickr8k").mkdir()
    (tmp_path / "flickr8k" / "captions.txt").write_text(CSV)
    with pytest.raises(DataError, match=r"not a data set .* \(did you mean .*/flickr8k\?\)"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("text", ["", "hello", "{}", '{"images": [1,'])
@pytest.mark.parametrize("name", ["thing.json", "thing.txt", "thing.jpg"])
def test_any_other_file_is_not_a_data_set(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="is not a data set that Cutline knows"):
        open_dataset(tmp_path / name)


def test_held_out_images_stay_so_when_the_data_set_grows():
    few, many = ([f"{number}.jpg" for number in range(count)] for count in (1000, 2000))
    splits = hold_out(many)
    assert {name: splits[name] for name in few} == hold_out(few)
    counts = Counter(splits.values())
    assert 60 < counts["val"] < 140
    assert 60 < counts["test"] < 140


@pytest.mark.parametrize(
    ("count", "splits"),
    [(0, set()), (1, {"train"}), (2, {"train", "val"}), (3, {"train", "val", "test"})],
)
def test_however_few_images_train_keeps_one_and_val_comes_next(count, splits):
    assert set(hold_out(f"{number}.jpg" for number in range(count)).values()) == splits
