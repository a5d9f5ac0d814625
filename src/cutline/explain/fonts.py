"""Fonts: a typeface that has the letters of a text, the user's or one of this machine."""

from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from cutline.errors import UsageError
from cutline.files import printable

__all__ = ["Font", "font_for"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Pillow looks for these in the folders of fonts of Linux, macOS and Windows.
_NAMES = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "YuGothR.ttc",
    "malgun.ttf",
)
_PROBE = 24  # pixels, at which signs are compared
_UNASSIGNED = "\U0010fffe"  # never a letter: a font shows its sign for missing ones


def font_for(text: str, size: int, file: Path | None = None) -> Font:
    """Return a font of `size` pixels that has each letter of the text.

    Args:
        text: what is to be drawn.
        size: in pixels.
        file: a font of the user's, which is then the only one tried.

    Raises:
        UsageError: the file is no font, or no font has all letters.
    """
    missing = ""
    for source in [_own(file)] if file else _installed():
        lacking = _lacking(source, text)
        if not lacking:
            return _sized(source, size)
        missing = missing or lacking
    tried = f"The font {printable(file)}" if file else "Every font of this machine"
    raise UsageError(
        f"{tried} lacks a sign for {printable(missing)}; give a font that has it: --font FILE.ttf."
    )


def _own(file: Path) -> str:
    try:
        ImageFont.truetype(file, _PROBE)
    except OSError:
        raise UsageError(
            f"{printable(file)} is not a font that can be read; give a .ttf, .otf or .ttc file."
        ) from None
    return str(file)


@cache
def _installed() -> tuple[str, ...]:
    """Return the fonts that are found, best first; Pillow's own, "", is always there."""
    found: list[str] = []
    for name in (*_NAMES[:1], *_of_matplotlib(), *_NAMES[1:]):
        try:
            ImageFont.truetype(name, _PROBE)
        except OSError:
            continue
        found.append(name)
    return (*found, "")


@lru_cache(maxsize=64)
def _sized(source: str, size: int) -> Font:
    return ImageFont.truetype(source, size) if source else ImageFont.load_default(size)


def _of_matplotlib() -> list[str]:
    """Return the font that matplotlib brings, without importing it."""
    spec = find_spec("matplotlib")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return [str(Path(folder, "mpl-data/fonts/ttf/DejaVuSans.ttf")) for folder in folders]


def _lacking(source: str, text: str) -> str:
    """Return the letters of a text that a font has no sign for."""
    nothing = _shape(source, _UNASSIGNED)
    letters = dict.fromkeys(letter for letter in text if letter.isprintable() and letter != " ")
    return "".join(letter for letter in letters if _shape(source, letter) == nothing)


@lru_cache(maxsize=4096)
def _shape(source: str, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = _sized(source, _PROBE).getmask(letter)
    return mask.size, bytes(mask)
