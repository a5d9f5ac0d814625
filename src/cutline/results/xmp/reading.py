"""Reading an XMP sidecar: its descriptions and their byte offsets.

The file may be a stranger's. XMP has no document type, so one that declares any (and could declare
entities with it) is refused; so is one that is too large, or nested too deep.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from cutline.errors import DataError

__all__ = [
    "ALT",
    "ALT_TEXT",
    "DESCRIPTION",
    "LARGEST",
    "LI",
    "MODEL",
    "NAMESPACES",
    "RDF",
    "Described",
    "Element",
    "Name",
    "Xmp",
    "described",
    "parse_xmp",
]

Name = tuple[str, str]  # namespace, local name

LARGEST = 16_000_000  # bytes of a sidecar that is read
DEEPEST = 100  # elements within each other
WIDEST = 100  # namespaces in scope: each remembered element keeps its own
MOST = 10_000  # elements that are remembered, and namespaces that are declared

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "cutline": "urn:cutline:xmp:1.0/",
}
XML = "http://www.w3.org/XML/1998/namespace"

RDF: Name = (NAMESPACES["rdf"], "RDF")
BLOCK: Name = (NAMESPACES["rdf"], "Description")  # RDF's own word for a group of properties
ALT: Name = (NAMESPACES["rdf"], "Alt")
LI: Name = (NAMESPACES["rdf"], "li")
LANG: Name = (XML, "lang")

DESCRIPTION: Name = (NAMESPACES["dc"], "description")
ALT_TEXT: Name = (NAMESPACES["Iptc4xmpCore"], "AltTextAccessibility")
MODEL: Name = (NAMESPACES["cutline"], "Model")
_OURS = (DESCRIPTION, ALT_TEXT, MODEL)

_ENCODINGS = {  # that are read, by the names that Python gives them
    "utf-8": "utf-8",
    "ascii": "ascii",
    "iso8859-1": "iso8859-1",
}
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")


@dataclass(slots=True)
class Element:
    """An element of a sidecar: `<name>` at `start`, content from `inner` to `outer`, over at `end`.

    Offsets are in bytes of UTF-8; an element without content (`<name/>`) has `inner == end`.
    """

    name: Name
    written: str  # the name with its prefix, as in the file
    start: int
    inner: int
    attributes: dict[Name, str]
    scope: Mapping[str, str]  # namespaces by prefix
    outer: int = -1
    end: int = -1
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Return whether it is written as `<name/>`."""
        return self.inner == self.end

    def first(self, *names: Name) -> "Element | None":
        """Return the first child of one of these names."""
        return next((child for child in self.children if child.name in names), None)

    @property
    def language(self) -> str:
        """The language of an alternative, in lower case."""
        return self.attributes.get(LANG, "").lower()


class Xmp(NamedTuple):
    """A sidecar: its text in UTF-8 without a byte order mark, how it was encoded, and its RDF."""

    utf8: bytes
    mark: bytes
    encoding: str
    rdf: Element

    @property
    def blocks(self) -> list[Element]:
        """The groups of properties."""
        return self.rdf.children

    def properties(self, name: Name) -> list[Element]:
        """Return the elements of a property; where it is whole there is at most one."""
        return [child for block in self.blocks for child in block.children if child.name == name]


class Described(NamedTuple):
    """Descriptions in a sidecar, or None; `model` is the Cutline model that wrote."""

    description: str | None
    alt_text: str | None
    model: str | None


def described(xmp: Xmp) -> Described:
    """Return the description, alternative text and model of a sidecar; blank ones are None."""
    return Described(*(_value(xmp, name) for name in _OURS))


def parse_xmp(data: bytes) -> Xmp:
    """Read a sidecar.

    Raises:
        DataError: it is none, or made to do harm; the sentence begins with "is" or "has".
    """
    if len(data) > LARGEST:
        raise DataError(f"has more than {LARGEST / 1e6:.0f} MB")
    text, mark, encoding = _decoded(data)
    parser = _Parser(text)
    try:
        parser.expat.Parse(text, True)
    except expat.ExpatError as error:
        raise DataError(f"is no whole XML ({error})") from None
    if parser.rdf is None:
        raise DataError("is no XMP (it has no rdf:RDF)")
    return Xmp(text, mark, encoding, parser.rdf)


def _decoded(data: bytes) -> tuple[bytes, bytes, str]:
    """Return the text in UTF-8, the byte order mark, and the encoding."""
    mark, encoding = b"", "utf-8"
    for known, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(known):
            mark, encoding = known, name
            break
    else:
        declared = _DECLARED.match(data)
        given = declared.group(1).decode() if declared else "utf-8"
        try:
            encoding = _ENCODINGS[codecs.lookup(given).name]
        except LookupError:
            raise DataError(f"is in an encoding that is not read here ({given})") from None
    try:
        return data[len(mark) :].decode(encoding).encode(), mark, encoding
    except ValueError:
        raise DataError(f"is not in {encoding} throughout") from None


class _Parser:
    """Remembers RDF's groups, of their properties ours, and of those the alternatives."""

    def __init__(self, data: bytes) -> None:
        self.rdf: Element | None = None
        self.expat = expat.ParserCreate("utf-8", namespace_separator=" ")
        self.expat.namespace_prefixes = True
        self.expat.buffer_text = True
        self.expat.StartDoctypeDeclHandler = self._refuse
        self.expat.StartNamespaceDeclHandler = self._declare
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end
        self.expat.CharacterDataHandler = self._text
        self._data = data
        self._open: list[Element | None] = []
        self._said: list[list[str]] = []  # texts of the open elements, in parts
        self._scopes: list[Mapping[str, str]] = [{}]
        self._declared: dict[str, str] = {}
        self._count = 0

    @staticmethod
    def _refuse(*_: object) -> None:
        raise DataError("has a document type or entities, which XMP has not")

    def _counted(self) -> None:
        self._count += 1
        if self._count > MOST:
            raise DataError("has more groups and namespaces than any photograph's")

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._counted()
        self._declared[prefix or ""] = uri or ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise DataError(f"is nested too deep (at most {DEEPEST} elements)")
        scope = self._scopes[-1]
        if self._declared:
            scope = {**scope, **self._declared}
            self._declared = {}
            if len(scope) > WIDEST:
                raise DataError(f"has more than {WIDEST} namespaces in one place")
        self._scopes.append(scope)
        parent = self._open[-1] if self._open else None
        found = None
        if self._is_wanted(_split(name)[0], parent):
            found = self._element(name, attributes, scope)
            if parent is None:
                self.rdf = found
            else:
                parent.children.append(found)
        self._open.append(found)
        self._said.append([])

    def _is_wanted(self, name: Name, parent: Element | None) -> bool:
        if parent is None:
            return name == RDF and self.rdf is None
        if parent.name == RDF:
            return name == BLOCK
        return name in _OURS if parent.name == BLOCK else True

    def _element(self, name: str, attributes: dict[str, str], scope: Mapping[str, str]) -> Element:
        self._counted()
        full, prefix = _split(name)
        start = self.expat.CurrentByteIndex
        return Element(
            full,
            f"{prefix}:{full[1]}" if prefix else full[1],
            start,
            _end_of_tag(self._data, start),
            {_split(key)[0]: value for key, value in attributes.items()},
            scope,
        )

    def _end(self, _: str) -> None:
        self._scopes.pop()
        element, said = self._open.pop(), self._said.pop()
        if element is not None:
            element.text = "".join(said)
            element.outer = self.expat.CurrentByteIndex
            empty = self._data[element.inner - 2 : element.inner] == b"/>"
            if empty:
                element.outer = element.inner
            element.end = element.inner if empty else self._data.index(b">", element.outer) + 1

    def _text(self, text: str) -> None:
        if self._open and self._open[-1] is not None:
            self._said[-1].append(text)


def _split(name: str) -> tuple[Name, str]:
    """Read what expat makes of a name: namespace, local name, and prefix where there is one."""
    parts = name.split(" ")
    if len(parts) == 1:
        return ("", name), ""
    return (parts[0], parts[1]), parts[2] if len(parts) > 2 else ""


_TAG = re.compile(rb"<[^\s/>]+(?:\s+[^\s=/>]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>")


def _end_of_tag(data: bytes, start: int) -> int:
    found = _TAG.match(data, start)
    if found is None:
        raise DataError("is no XML that can be changed safely")
    return found.end()


def _value(xmp: Xmp, name: Name) -> str | None:
    """Return what is said of a property: in the default language, else the first that is not blank.

    A plain text, which older programs write as an attribute, counts, too.
    """
    said = [block.attributes.get(name, "") for block in xmp.blocks]
    for found in xmp.properties(name):
        lines = [line for group in found.children for line in group.children if line.name == LI]
        lines.sort(key=lambda line: line.language != "x-default")
        said += [found.text, *(line.text for line in lines)]
    return next((text.strip() for text in said if text.strip()), None)
