"""Captions in XMP sidecars: `dc:description`, the alternative text of IPTC, and the model's name.

What is in a sidecar stays byte for byte: the new lines are spliced in, and only a description that
is replaced or added to changes.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cutline.results.xmp.reading import (
    ALT,
    ALT_TEXT,
    DESCRIPTION,
    LI,
    MODEL,
    NAMESPACES,
    Element,
    Name,
    Xmp,
)

__all__ = ["merged_xmp", "new_xmp"]

_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_RDF = NAMESPACES["rdf"]
_EMPTY = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{_RDF}">
%s
 </rdf:RDF>
</x:xmpmeta>
"""


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def new_xmp(caption: str, model: str) -> bytes:
    """Return a sidecar with a caption and the name of the model that wrote it."""
    names = {prefix: uri for prefix, uri in NAMESPACES.items() if prefix != "rdf"}
    declared = "".join(f'\n    xmlns:{prefix}="{uri}"' for prefix, uri in names.items())
    lines = [f'  <rdf:Description rdf:about=""{declared}>']
    for name, text in _texts(caption, model):
        lines += _property(name, text, NAMESPACES, "   ")
    lines.append("  </rdf:Description>")
    return (_EMPTY % "\n".join(lines)).encode()


def merged_xmp(xmp: Xmp, caption: str, model: str, *, append: bool = False) -> bytes:
    """Return a sidecar with a caption put in.

    Args:
        xmp: the sidecar as it is.
        caption: the text; it takes the place of a description or alternative text that is there.
        model: the name of the model.
        append: keep such texts, and add the caption to them on a line of its own.
    """
    edits: list[_Edit] = []
    absent: list[tuple[Name, str]] = []
    for name, text in _texts(caption, model):
        edits += _attributes(xmp, name)
        said = (block.attributes.get(name, "") for block in xmp.blocks)
        old = next((one for one in said if one), "") if append and name != MODEL else ""
        new = f"{old}\n{text}" if old.strip() else text
        if properties := xmp.properties(name):
            edits += _changed(xmp, properties[0], new, append=append and name != MODEL)
        else:
            absent.append((name, new))
    edits += _added(xmp, absent)
    data = _spliced(xmp.utf8, edits)
    return xmp.mark + data.decode().encode(xmp.encoding, "xmlcharrefreplace")


def _texts(caption: str, model: str) -> tuple[tuple[Name, str], ...]:
    return (DESCRIPTION, caption), (ALT_TEXT, caption), (MODEL, model)


def _spliced(data: bytes, edits: Iterable[_Edit]) -> bytes:
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [data[at : edit.start], edit.text.encode()]
        at = edit.end
    return b"".join([*parts, data[at:]])


def _changed(xmp: Xmp, element: Element, text: str, *, append: bool) -> list[_Edit]:
    """Put a text into a property that is there; alternatives in other languages stay."""
    if element.name == MODEL:
        return [_content(element, _escaped(text))]
    alternatives = element.first(ALT)
    if alternatives is None:
        old = element.text.strip()
        text = f"{old}\n{text}" if append and old else text
        indent = _indent(xmp.utf8, element.start)
        lines = _alternatives(text, element.scope, indent + " ")
        return [_content(element, "\n" + "\n".join(lines) + "\n" + indent)]
    texts = [child for child in alternatives.children if child.name == LI]
    line = next((one for one in texts if one.language == "x-default"), None)
    if line is not None:
        kept = xmp.utf8[line.inner : line.outer].decode() if append and line.text.strip() else ""
        return [_content(line, f"{kept}\n{_escaped(text)}" if kept else _escaped(text))]
    return [_first_line(xmp, alternatives, text)]


def _first_line(xmp: Xmp, alternatives: Element, text: str) -> _Edit:
    """Put the default language, of which there is none, before the others."""
    rdf, declared = _prefix(_RDF, alternatives.scope)
    indent = _indent(xmp.utf8, alternatives.start)
    line = f"\n{indent} {_line(rdf, declared, text)}"
    if alternatives.empty:
        return _content(alternatives, f"{line}\n{indent}")
    return _Edit(alternatives.inner, alternatives.inner, line)


def _added(xmp: Xmp, absent: list[tuple[Name, str]]) -> list[_Edit]:
    """Put properties at the end of the first group; a sidecar without groups gets one."""
    if not absent:
        return []
    inside = xmp.blocks[0] if xmp.blocks else xmp.rdf
    indent = _indent(xmp.utf8, inside.start)
    inner = indent + " " * (1 if xmp.blocks else 2)
    lines = [line for name, text in absent for line in _property(name, text, inside.scope, inner)]
    if not xmp.blocks:
        rdf, declared = _prefix(_RDF, inside.scope)
        head = f'{indent} <{rdf}:Description {rdf}:about=""{declared}>'
        lines = [head, *lines, f"{indent} </{rdf}:Description>"]
    if inside.empty:
        return [_content(inside, "\n" + "\n".join(lines) + f"\n{indent}")]
    rest = re.search(rb"(\n[ \t]*)?\Z", xmp.utf8[inside.inner : inside.outer])
    at = inside.outer - (len(rest.group()) if rest else 0)
    closing = "" if rest and rest.group() else f"\n{indent}"
    return [_Edit(at, at, "\n" + "\n".join(lines) + closing)]


def _content(element: Element, text: str) -> _Edit:
    """Replace what is within an element; `<name/>` is opened for it."""
    if element.empty:
        return _Edit(element.end - 2, element.end, f">{text}</{element.written}>")
    return _Edit(element.inner, element.outer, text)


def _property(name: Name, text: str, scope: Mapping[str, str], indent: str) -> list[str]:
    prefix, declared = _prefix(name[0], scope)
    tag = f"{prefix}:{name[1]}"
    if name == MODEL:
        return [f"{indent}<{tag}{declared}>{_escaped(text)}</{tag}>"]
    lines = _alternatives(text, scope, indent + " ")
    return [f"{indent}<{tag}{declared}>", *lines, f"{indent}</{tag}>"]


def _alternatives(text: str, scope: Mapping[str, str], indent: str) -> list[str]:
    rdf, declared = _prefix(_RDF, scope)
    return [
        f"{indent}<{rdf}:Alt{declared}>",
        f"{indent} {_line(rdf, '', text)}",
        f"{indent}</{rdf}:Alt>",
    ]


def _line(rdf: str, declared: str, text: str) -> str:
    return f'<{rdf}:li{declared} xml:lang="x-default">{_escaped(text)}</{rdf}:li>'


def _prefix(uri: str, scope: Mapping[str, str]) -> tuple[str, str]:
    """Return a namespace's prefix, and its declaration where the file has none in scope."""
    usual = _PREFIXES[uri]
    known = [prefix for prefix, meant in scope.items() if meant == uri and prefix]
    if known:
        return (usual if usual in known else known[0]), ""
    return usual, f' xmlns:{usual}="{uri}"'


def _attributes(xmp: Xmp, name: Name) -> list[_Edit]:
    """Take a property out of the attributes of its group, where it is written as one."""
    edits = []
    for block in xmp.blocks:
        if name not in block.attributes:
            continue
        prefixes = [prefix for prefix, uri in block.scope.items() if uri == name[0] and prefix]
        names = {f"{prefix}:{name[1]}".encode() for prefix in prefixes}
        at = block.start + len(f"<{block.written}".encode())
        while found := _ATTRIBUTE.match(xmp.utf8, at, block.inner):  # one after the other
            at = found.end()
            if found.group(1) in names:
                edits.append(_Edit(found.start(), at, ""))
    return edits


def _indent(data: bytes, start: int) -> str:
    """Return the white space between the start of a line and an element."""
    line = data[data.rfind(b"\n", 0, start) + 1 : start]
    return line.decode() if not line.strip() else ""


def _escaped(text: str) -> str:
    text = _NO_XML.sub("\ufffd", text).replace("&", "&amp;")
    return text.replace("<", "&lt;").replace(">", "&gt;")  # `xml.sax` has this, and loads urllib
