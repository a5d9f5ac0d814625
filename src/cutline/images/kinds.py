"""Image formats: recognised by suffix and by first bytes, readable or not."""

import re
from importlib.util import find_spec
from typing import NamedTuple

from PIL import Image, features

__all__ = [
    "ALLOWED",
    "IMAGE_SUFFIXES",
    "RAW_SUFFIXES",
    "Kind",
    "formats",
    "kind_of_bytes",
    "kind_of_suffix",
    "listed_suffixes",
    "register_heif",
]

HEIF = "HEIF"  # what pillow-heif calls its format

_SUFFIXES = {  # by Pillow's name of the format
    "JPEG": ".jpg .jpeg .jpe .jfif",
    "PNG": ".png .apng",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "DIB": ".dib",
    "TIFF": ".tif .tiff",
    "PPM": ".ppm .pgm .pbm .pnm",
    "AVIF": ".avif .avifs",
    "JPEG2000": ".jp2 .j2k .j2c .jpc .jpf .jpx",
    HEIF: ".heic .heif .hif .heics .heifs",
}
_NAMES = {"WEBP": "WebP", "JPEG2000": "JPEG 2000", HEIF: "HEIC"}
_OPTIONAL = {
    "AVIF": bool(features.check("avif")),
    "JPEG2000": bool(features.check("jpg_2000")),
    HEIF: find_spec("pillow_heif") is not None,
}
# Only these are tried: Pillow would hand PostScript to Ghostscript if it were asked to.
_FORMATS = tuple(name for name in _SUFFIXES if _OPTIONAL.get(name, True))
IMAGE_SUFFIXES = frozenset(suffix for name in _FORMATS for suffix in _SUFFIXES[name].split())

_WELL_KNOWN = {".bmp", ".gif", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}

_TOLD = [_NAMES.get(name, name) for name in _FORMATS if name not in ("DIB", "PPM")]
ALLOWED = f"give a {', '.join(_TOLD[:-1])} or {_TOLD[-1]} file"

_FOREIGN = {
    "JPEG XL": ".jxl",
    "RAW": ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .kdc .mef .mos .mrw .nef .nrw .orf "
    ".pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f",
    "PSD": ".psd .psb",
    "SVG": ".svg .svgz",
    "EPS": ".eps",
    "JPEG XR": ".jxr .wdp .hdp",
    "OpenEXR": ".exr",
    "HDR": ".hdr",
    "ICO": ".ico",
    "TGA": ".tga",
    "PCX": ".pcx",
    "QOI": ".qoi",
    "DDS": ".dds",
    "XCF": ".xcf",
}
_AN = ("AVIF", "EPS", "HDR", "ICO", "OpenEXR", "SVG", "XCF")  # as they are spoken
RAW_SUFFIXES = frozenset(_FOREIGN["RAW"].split())
_BY_SUFFIX = {
    suffix: (name, name in _FORMATS)
    for name, suffixes in {**_SUFFIXES, **_FOREIGN}.items()
    for suffix in suffixes.split()
}

_MAGIC = (  # (pattern of the first bytes, kind)
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"GIF8", "GIF"),
    (rb"BM", "BMP"),
    (rb"(II\*\0....CR)|(IIU\0)|(IIR[OS])|(FUJIFILMCCD-RAW)|(FOVb)|(\x00MRM)", "RAW"),
    (rb"(II[*+]\0)|(MM\0[*+])", "TIFF"),
    (rb"P[1-6]\s", "PPM"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (rb"8BPS", "PSD"),
    (rb"II\xbc", "JPEG XR"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"#\?RADIANCE|#\?RGBE", "HDR"),
    (rb"\x00\x00\x01\x00", "ICO"),
    (rb"qoif", "QOI"),
    (rb"DDS ", "DDS"),
    (rb"gimp xcf", "XCF"),
    (rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg", "SVG"),
)
_PATTERNS = [(re.compile(pattern, re.DOTALL), kind) for pattern, kind in _MAGIC]
_BRANDS = {  # of the ISO container that HEIC, AVIF and Canon's CR3 share
    "AVIF": (b"avif", b"avis"),
    "RAW": (b"crx ",),
    HEIF: (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
}


class Kind(NamedTuple):
    """A kind of picture by its name, and whether it can be read here."""

    name: str
    readable: bool

    def remedy(self, them: str) -> str:
        """Say what to do about a kind that cannot be read; `them` is `it` or `them`."""
        if self.name == "HEIC":
            return f"pip install 'cutline[heic]' reads {them}"
        if self.name in ("AVIF", "JPEG 2000"):
            return f"a Pillow built with {self.name} reads {them}: pip install --upgrade pillow"
        return f"convert {them} to JPEG or PNG"

    def __str__(self) -> str:
        return f"{'an' if self.name in _AN else 'a'} {self.name}"


def kind_of_suffix(suffix: str) -> Kind | None:
    """Return what files of a suffix (`.jpg`) are; None when no pictures."""
    found = _BY_SUFFIX.get(suffix.lower())
    return None if found is None else Kind(_NAMES.get(found[0], found[0]), found[1])


def kind_of_bytes(head: bytes) -> Kind | None:
    """Return what a file is by its first bytes (64 do, an SVG's more); None when no picture."""
    if head[4:8] == b"ftyp":
        brands = (head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), 64), 4)))
        by_brand = {brand: kind for kind, those in _BRANDS.items() for brand in those}
        # the first brand that says something precise: AVIF files carry the general `mif1`, too
        known = [by_brand[brand] for brand in brands if brand in by_brand]
        name = next((kind for kind in known if kind != HEIF), known[0] if known else None)
        if brands[0] in _BRANDS[HEIF][:6]:
            name = HEIF
    else:
        name = next((kind for pattern, kind in _PATTERNS if pattern.match(head)), None)
    return None if name is None else Kind(_NAMES.get(name, name), name in _FORMATS)


def listed_suffixes() -> str:
    """Return the suffixes of pictures that can be read, those that everybody knows first."""
    return ", ".join([*sorted(_WELL_KNOWN), *sorted(IMAGE_SUFFIXES - _WELL_KNOWN)])


def formats() -> tuple[str, ...]:
    """Return Pillow's names of what is tried; HEIC once it is registered."""
    return tuple(name for name in _FORMATS if name != HEIF or name in Image.OPEN)


def register_heif() -> bool:
    """Let Pillow know of HEIC, once a HEIC file is there to be read; False where that fails."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:  # it is installed, but not whole
        return False
    register_heif_opener()
    return True
