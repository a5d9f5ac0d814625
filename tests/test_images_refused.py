"""What is no picture, or too large or broken a one, is refused in one sentence that names it."""

import io
import os
import struct
import threading
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from cutline.errors import ImageError
from cutline.files import printable
from cutline.images import read_image
from cutline.images.kinds import ALLOWED

pytestmark = pytest.mark.usefixtures("no_heif")

PICTURE = Image.radial_gradient("L").resize((64, 48)).convert("RGB")


def file_of(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels and has no data: decoding it would fail differently."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_decoding():
    with pytest.raises(
        ImageError, match="more pixels than the 178,956,970 allowed; give a smaller"
    ):
        read_image(bomb(50_000, 50_000))


@pytest.mark.parametrize("action", ["error", "always"])
def test_the_size_where_pillow_only_warns_neither_warns_nor_raises_a_warning(action):
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter(action)
        with pytest.raises(ImageError, match="damaged or cut short"):
            read_image(bomb(10_000, 10_000))  # allowed, so it is decoded, and has no data
    assert not leaked


def test_the_limit_holds_when_the_user_lifted_pillows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="has 50,000 x 50,000 pixels, more than the 178,956,970"):
        read_image(bomb(50_000, 50_000))


def test_a_server_may_set_a_lower_limit_and_a_name():
    with pytest.raises(ImageError, match=r"^me\.png has 64 x 48 pixels, more than the 1,000 allow"):
        read_image(file_of(PICTURE, "PNG"), max_pixels=1000, name="me.png")


def refusal(source: object) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_a_text_file_named_jpg_is_not_a_picture(tmp_path):
    (tmp_path / "notes.jpg").write_text("remember the milk")
    said = refusal(tmp_path / "notes.jpg")
    assert said == (f"{tmp_path}/notes.jpg is not a picture that can be read; {ALLOWED}.")


def test_postscript_is_not_handed_to_ghostscript():
    assert "not a picture" in refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF"])
def test_a_picture_cut_short_is_refused(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    whole = file_of(noise, kind)
    said = refusal(whole[: len(whole) // 2])
    assert "damaged or cut short" in said or "not a picture that can be read" in said


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF"])
def test_broken_bytes_give_a_picture_or_a_sentence_never_anything_else(kind):
    random = np.random.default_rng(0)
    whole = np.frombuffer(file_of(PICTURE, kind), dtype=np.uint8)
    for _ in range(100):
        broken = whole.copy()
        broken[random.integers(0, len(broken), 6)] = random.integers(0, 256, 6)
        with suppress(ImageError):
            assert read_image(broken.tobytes(), max_pixels=10**6).mode == "RGB"


def test_empty_missing_folder_and_pipe_are_each_named(tmp_path):
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in {
        "empty.png": "is empty (0 bytes)",
        "missing.png": "does not exist",
        "": "is a folder, not a picture",
        "pipe.png": "is a pipe or a device",
        "empty.png/inside.png": "does not exist",
        "x" * 300: "cannot be opened (File name too long)",
        "nul\0.png": "cannot be opened (embedded null byte)",
    }.items():
        path = tmp_path / name
        assert refusal(str(path)).startswith(f"{printable(path)} {reason}")
    assert "is empty" in refusal(b"")
    assert "is empty" in refusal(io.BytesIO())


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret.png"
    PICTURE.save(path)
    monkeypatch.setattr(Path, "open", refuse)  # root may read anything, so chmod would not do
    assert "secret.png may not be read (no permission)" in refusal(path)


def test_what_is_no_source_at_all_is_answered_with_what_is():
    assert "is int, not bytes; give a path" in refusal(3)
    assert "is str, not bytes; give a path" in refusal(io.StringIO("text"))


def test_a_name_that_is_not_utf_8_can_be_printed():
    refusal(os.fsdecode(b"/nowhere/\xff.jpg")).encode("utf-8")


def test_warnings_filters_and_pillows_limit_are_left_alone_also_by_threads():
    data = file_of(PICTURE, "JPEG")
    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    threads = [threading.Thread(target=lambda: [read_image(data) for _ in range(40)]) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


# --- kinds that cannot be read here --------------------------------------------------------------

FOREIGN = {
    "a.heic": (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "a HEIC file, which cannot be read here; pip ",
    ),
    "b.jpg": (
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
        "a HEIC file, which cannot be read here; pip ",
    ),
    "c.jxl": (b"\xff\x0a\xfa\x1f", "a JPEG XL file, which cannot be read here; convert it to"),
    "d.png": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file, which cannot be read here"),
    "e.cr2": (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw file, which cannot be read here; conv"),
    "f.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw file, which cannot be"),
    "g.raf": (b"FUJIFILMCCD-RAW 0201", "a camera's raw file"),
    "h.psd": (b"8BPS\0\1", "a PSD file, which cannot be read here"),
    "i.svg": (
        b"<?xml version='1.0'?>\n<!-- by me -->\n<svg xmlns=''/>",
        "an SVG file, which cannot",
    ),
    "j.mp4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "a video, not a picture; save one of its"),
    "k.mov": (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "a video, not a picture"),
    "l.pdf": (b"%PDF-1.7\n", "a PDF, not a picture"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_kind_that_cannot_be_read_is_named_by_its_bytes(name, tmp_path):
    data, said = FOREIGN[name]
    (tmp_path / name).write_bytes(data + bytes(400))
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name} is {said}")


def test_a_heic_file_says_what_to_install():
    assert "pip install 'cutline[heic]' reads it." in refusal(FOREIGN["a.heic"][0] + bytes(400))


def test_a_raw_file_in_tiffs_clothing_is_not_captioned_by_its_thumbnail(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[50706], tags.tagtype[50706] = b"\1\4\0\0", 1
    PICTURE.save(tmp_path / "renamed.tif", tiffinfo=tags)  # a DNG
    PICTURE.save(tmp_path / "photo.tif")
    (tmp_path / "photo.nef").write_bytes((tmp_path / "photo.tif").read_bytes())
    for name in ("renamed.tif", "photo.nef"):
        assert "is a camera's raw file" in refusal(tmp_path / name)
    assert read_image(tmp_path / "photo.tif").size == PICTURE.size


def test_a_picture_under_a_foreign_name_is_a_picture(tmp_path):
    (tmp_path / "export.heic").write_bytes(file_of(PICTURE, "JPEG"))
    assert read_image(tmp_path / "export.heic").size == PICTURE.size


def test_a_known_kind_that_cannot_be_opened_is_called_damaged():
    data = bytearray(file_of(PICTURE, "PNG"))
    data[29] ^= 1  # the checksum of its header
    said = refusal(bytes(data))
    assert "damaged or cut short (it begins as a PNG file, but goes on as none)" in said
