"""XMP sidecars: captions put in, everything else byte for byte, and hostile files refused."""

import codecs
import json
import shutil
import subprocess
import tracemalloc
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from cutline.errors import DataError
from cutline.results import Existing, Row, Sidecars
from cutline.results.xmp import described, merged_xmp, new_xmp, parse_xmp
from support.stand_in import made_up

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
DESCRIPTIONS = (
    f'<dc:description xmlns:dc="{DC}"><rdf:Alt><rdf:li xml:lang="x-default">mine</rdf:li>'
    '<rdf:li xml:lang="de">meins</rdf:li></rdf:Alt></dc:description>'
)


def sidecar(
    inside="", outside="", head='<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
):
    return (
        f'{head}<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Other 1.0">\n'
        f' <!-- a comment -->\n <rdf:RDF xmlns:rdf="{RDF}">\n'
        f'  <rdf:Description rdf:about=""\n    xmlns:dt="http://darktable.sf.net/" dt:auto="1>0"'
        f' dt:odd=">/>">\n   {inside}\n  </rdf:Description>\n{outside} </rdf:RDF>\n</x:xmpmeta>\n'
        '<?xpacket end="w"?>   \n'
    )


FIELDS = "\n   ".join(
    f"<dt:field{n}>value &amp; <![CDATA[<{n}>]]></dt:field{n}>" for n in range(30)
)
OLD = {
    "thirty other fields": sidecar(FIELDS),
    "windows line ends": sidecar(FIELDS).replace("\n", "\r\n"),
    "no group": f'<x xmlns:r="{RDF}"><r:RDF/></x>',
    "an empty group": f'<r:RDF xmlns:r="{RDF}"><r:Description r:about="uuid:1"/></r:RDF>',
    "rdf without a prefix": f'<RDF xmlns="{RDF}"><Description></Description></RDF>',
    "other prefixes": f'<r:RDF xmlns:r="{RDF}" xmlns:dc="other:"><r:Description dc:x="1"/></r:RDF>',
    "several groups": sidecar("<dt:a/>", '  <rdf:Description rdf:about=""/>\n'),
    "another language": sidecar(DESCRIPTIONS.replace("x-default", "fr")),
    "an empty description": sidecar(f'<d:description xmlns:d="{DC}"/>'),
    "an empty alternative": sidecar(f'<d:description xmlns:d="{DC}"><rdf:Alt/></d:description>'),
    "a blank line": sidecar(DESCRIPTIONS.replace("mine", " ")),
}


@pytest.mark.parametrize("old", OLD.values(), ids=OLD)
@pytest.mark.parametrize("append", [False, True])
def test_a_caption_is_put_in_and_all_that_was_there_stays(old, append):
    before = old.encode()
    after = merged_xmp(parse_xmp(before), "a <dog> & a cat", "m", append=append)
    assert described(parse_xmp(after)) == ("a <dog> & a cat", "a <dog> & a cat", "m")
    ET.fromstring(after)
    lines = after.replace(b"\r\n", b"\n").split(b"\n")
    kept = [line for line in before.replace(b"\r\n", b"\n").split(b"\n") if b"dt:" in line]
    assert [line for line in lines if b"dt:" in line] == kept
    assert all(text in after for text in (b"meins", b"mine", b"uuid:1") if text in before)


def test_a_sidecar_with_thirty_other_fields_keeps_every_byte():
    before = OLD["thirty other fields"].encode()
    after = merged_xmp(parse_xmp(before), "a dog", "m")
    start = next(at for at in range(len(before)) if before[at] != after[at])
    rest = len(before) - start
    assert after[:start] + after[-rest:] == before


@pytest.mark.parametrize(
    ("append", "wanted"), [(False, "a dog"), (True, "mine\na dog")], ids=["replace", "append"]
)
@pytest.mark.parametrize("how", ["element", "attribute"])
def test_a_description_is_replaced_or_added_to_and_other_languages_stay(append, wanted, how):
    old = sidecar(DESCRIPTIONS)
    if how == "attribute":
        old = sidecar().replace('dt:auto="', f'xmlns:dc="{DC}" dc:description="mine" dt:auto="')
    after = merged_xmp(parse_xmp(old.encode()), "a dog", "m", append=append)
    assert described(parse_xmp(after)) == (wanted, "a dog", "m")
    assert (b"meins" in after) == (how == "element")
    again = merged_xmp(parse_xmp(after), "a dog", "m")
    assert described(parse_xmp(again)) == ("a dog", "a dog", "m")


def test_every_encoding_is_kept():
    text = sidecar("<dt:name>caf\xe9</dt:name>", head="")
    for before, encoding in (
        (codecs.BOM_UTF8 + text.encode(), "utf-8-sig"),
        (codecs.BOM_UTF16_LE + text.encode("utf-16-le"), "utf-16"),
        (codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "utf-16"),
        (f'<?xml version="1.0" encoding="ISO-8859-1"?>{text}'.encode("latin-1"), "latin-1"),
    ):
        after = merged_xmp(parse_xmp(before), "ein B\xe4r \u718a", "m")
        assert "caf\xe9" in after.decode(encoding)
        assert described(parse_xmp(after)).description == "ein B\xe4r \u718a"
        assert after[:4] == before[:4]


def test_what_xml_cannot_hold_is_replaced():
    assert described(parse_xmp(new_xmp("a\x00\ufffeb", "m"))).description == "a\ufffd\ufffdb"


BILLION = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + sidecar("&b;", head="")
MANY = " ".join(f'xmlns:n{n}="u"' for n in range(11_000))
HOSTILE = {
    "document type": (BILLION, "has a document type or entities"),
    "external": ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "has a document type"),
    "unknown entity": (sidecar("&nbsp;", head=""), "is no whole XML"),
    "cut off": (sidecar()[:200], "is no whole XML"),
    "empty": ("", "is no whole XML"),
    "no XMP": ("<svg/>", "it has no rdf:RDF"),
    "deep": ("<a>" * 5000 + "</a>" * 5000, "is nested too deep"),
    "many groups": (sidecar(outside="<rdf:Description/>" * 20_000), "more groups"),
    "many namespaces": (f"<a {MANY}/>", "namespaces"),
    "large": (sidecar("x" * 17_000_000), "has more than 16 MB"),
    "encoding": ('<?xml version="1.0" encoding="utf-7"?><x/>', "an encoding that is not read"),
}


@pytest.mark.parametrize(("text", "says"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_a_sentence_and_stays(tmp_path, text, says):
    with pytest.raises(DataError, match=says):
        parse_xmp(text.encode())
    image, path = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    image.write_bytes(b"picture")
    path.write_text(text)
    for existing in Existing:
        beside = Sidecars(["xmp"], [image], resume=False, existing=existing)
        [[fault]] = beside.faults.values()
        assert "a.jpg.xmp" in fault
        assert not beside.left(image)
        assert path.read_text() == text


def test_a_file_with_many_namespaces_in_scope_is_refused_in_little_memory():
    names = "".join(f' xmlns:n{number}="urn:{number}"' for number in range(2000))
    groups = "".join(f'<rdf:Description xmlns:m="urn:{number}"/>' for number in range(1000))
    data = sidecar("", groups).replace("<rdf:RDF", f"<rdf:RDF{names}", 1).encode()
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="namespaces in one place"):
            parse_xmp(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 40 * len(data)  # 13 times; were each group to keep all names, 670 times


def test_an_attribute_is_found_by_its_name_and_never_within_anothers_value():
    trap = "x dc:description='not this' y"
    old = new_xmp("", "").decode()
    head = '<rdf:Description rdf:about=""'
    assert head in old
    start, rest = old.split(head)
    declared, _, end = rest.partition(">")
    end = end[end.index("</rdf:Description>") :]
    text = f'{start}{head}{declared} dc:title="{trap}" dc:description="old">{end}'
    merged = merged_xmp(parse_xmp(text.encode()), "new", "m")
    assert f'dc:title="{trap}"'.encode() in merged
    assert b'dc:description="old"' not in merged
    assert described(parse_xmp(merged)).description == "new"


def write(image, existing=Existing.KEEP, resume=False, text="a dog"):
    beside = Sidecars(["xmp"], [image], resume=resume, existing=existing)
    faults = [fault for each in beside.faults.values() for fault in each]
    left = beside.left(image)
    return faults + (beside.write(Row(image, made_up(text), "m")) if left else []), left


def said(path):
    return described(parse_xmp(path.read_bytes())).description


def test_a_persons_description_stays_unless_it_is_to_be_replaced(tmp_path):
    image, path = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    image.write_bytes(b"picture")
    path.write_text(sidecar(DESCRIPTIONS))
    for resume in (False, True):
        [fault], left = write(image, resume=resume)
        assert "has a description, which is not overwritten; --overwrite replaces it" in fault
        assert (left, path.read_text()) == (False, sidecar(DESCRIPTIONS))
    assert write(image, Existing.SKIP) == ([], False)
    assert (write(image, Existing.APPEND), said(path)) == (([], True), "mine\na dog")
    assert write(image, Existing.APPEND, resume=True) == ([], False)
    assert (write(image, Existing.OVERWRITE), said(path)) == (([], True), "a dog")
    assert write(image, resume=True) == ([], False)
    assert image.read_bytes() == b"picture"


def test_a_sidecar_without_a_description_is_merged_in_every_mode(tmp_path):
    image, path = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    for existing in Existing:
        path.write_text(sidecar(FIELDS))
        assert (write(image, existing), said(path)) == (([], True), "a dog")


def test_a_sidecar_that_another_program_writes_meanwhile_loses_nothing(tmp_path, monkeypatch):
    image, path = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    path.write_text(sidecar())
    times = []
    write_bytes = Path.write_bytes

    def meanwhile(draft, data):
        if not times:
            path.write_text(sidecar("<dt:new/>"))
        times.append(1)
        return write_bytes(draft, data)

    monkeypatch.setattr(Path, "write_bytes", meanwhile)
    assert write(image) == ([], True)
    assert said(path) == "a dog"
    assert "<dt:new/>" in path.read_text()
    assert len(times) == 2


@pytest.mark.parametrize(
    ("existing", "faults"), [(Existing.KEEP, 1), (Existing.SKIP, 0), (Existing.OVERWRITE, 0)]
)
def test_a_description_that_is_saved_meanwhile_is_treated_as_any_other(
    tmp_path, monkeypatch, existing, faults
):
    image, path = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    path.write_text(sidecar())
    theirs = new_xmp("by a person", "").replace(b"cutline:Model", b"cutline:None")
    write_bytes = Path.write_bytes

    def meanwhile(draft, data):
        if said(path) is None:
            write_bytes(path, theirs)
        return write_bytes(draft, data)

    monkeypatch.setattr(Path, "write_bytes", meanwhile)
    assert len(write(image, existing)[0]) == faults
    assert said(path) == ("a dog" if existing is Existing.OVERWRITE else "by a person")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("old", [None, *(name for name in OLD if "xmpmeta" in OLD[name])], ids=str)
def test_exiftool_reads_description_and_alternative_text(tmp_path, old):
    path = tmp_path / "a.jpg.xmp"
    new = new_xmp("a <dog>", "m") if old is None else None
    path.write_bytes(new or merged_xmp(parse_xmp(OLD[old].encode()), "a <dog>", "m"))
    words = ["exiftool", "-json", "-XMP:all", path]
    [tags] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    assert (tags["Description"], tags["AltTextAccessibility"], tags["Model"]) == (
        "a <dog>",
        "a <dog>",
        "m",
    )
    if old in ("thirty other fields", "windows line ends"):
        assert [tags[f"Field{n}"] for n in range(30)] == [f"value & <{n}>" for n in range(30)]
