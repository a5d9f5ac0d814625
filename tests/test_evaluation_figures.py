"""Figures of an evaluation never replace a picture of the data set."""

import pytest
from PIL import Image

from cutline.data.examples import Example, Photograph
from cutline.errors import UsageError
from cutline.evaluation import check_figures


@pytest.mark.parametrize("link", [False, True])
def test_a_sheet_is_not_written_over_a_picture_of_the_data_set(link, tmp_path):
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 8)).save(path)
    examples = [Example("a", Photograph(path), ("a dog",), "test")]
    target = path
    if link:
        target = tmp_path / "b.png"
        target.symlink_to(path)
    with pytest.raises(UsageError, match="which is read here and not overwritten"):
        check_figures(target, examples, 1, overwrite=True)
    check_figures(tmp_path / "c.png", examples, 1, overwrite=True)
