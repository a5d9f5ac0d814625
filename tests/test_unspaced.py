"""Captions written without spaces between words are noticed; others are not taken for such."""

import pytest

from cutline.unspaced import looks_unspaced, unspaced_share

UNSPACED = {
    "Chinese": "一只黑色的狗在草地上奔跑。",
    "Japanese": "犬が草の上を走っている。",
    "kana": "いぬがくさのうえをはしる",
    "Thai": "แมวนั่งบนโต๊ะ",
    "Lao": "ຫມາສີດຳແລ່ນ",
    "Khmer": "ឆ្កែខ្មៅកំពុងរត់",
    "Burmese": "ခွေးမည်းတစ်ကောင်",
    "with an English word": "一个人拿着iPhone在街上走路",
}
SPACED = {
    "English": "a man\u2019s dog runs on the grass",
    "Korean": "검은 개가 풀밭에서 달린다",
    "segmented Chinese": "一 只 黑色 的 狗 在 草地 上",
    "segmented Thai": "แมว นั่ง บน โต๊ะ",
    "Hindi": "एक काला कुत्ता",
    "nothing": "... 12",
}


@pytest.mark.parametrize("caption", UNSPACED.values(), ids=UNSPACED)
def test_text_without_spaces_is_noticed_and_told_what_to_type(caption):
    assert unspaced_share([caption]) > 0.5
    assert "train with words.tokenizer=characters" in str(looks_unspaced([caption] * 3))


@pytest.mark.parametrize("caption", SPACED.values(), ids=SPACED)
def test_text_with_spaces_is_not(caption):
    assert looks_unspaced([caption]) is None


def test_a_foreign_caption_among_many_is_no_reason():
    assert looks_unspaced([UNSPACED["Chinese"], *[SPACED["English"]] * 9]) is None
    assert looks_unspaced([]) is None
