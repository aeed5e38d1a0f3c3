"""Captions in .xmp files: what is written, what of others is kept, what is refused."""

from pathlib import Path
from xml.etree import ElementTree

import pyexiv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.inference.captioner import Caption
from captioning.output.targets import UnwritableError
from captioning.output.xmp_sidecars import (
    ALT_TEXT,
    DESCRIPTION,
    LARGEST,
    NO_XML,
    read_xmp,
    write_xmp,
)

PHOTO = Path("a.jpg")

DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmp:Rating="3"
   darktable:note="two&#xA;lines &amp; more">
   <!-- kept -->
   <darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:params="gz12eJx"/></rdf:Seq>
   </darktable:history>
   <dc:subject><rdf:Bag><rdf:li>Rex</rdf:li></rdf:Bag></dc:subject>
   {description}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

TWO_LANGUAGES = """<dc:description><rdf:Alt>
<rdf:li xml:lang="x-default">Rex at the lake</rdf:li><rdf:li xml:lang="de-DE">Rex am See</rdf:li>
</rdf:Alt></dc:description>"""


def described(path: Path) -> dict:
    """What Exiv2, and so digiKam and darktable, read in the file."""
    with pyexiv2.Image(str(path)) as file:
        return file.read_xmp()


def test_a_new_file_is_read_by_exiv2(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    assert read_xmp(path) is None
    write_xmp(Caption(PHOTO, 'A dog & a "cát" <3'), path)
    found = described(path)
    assert found["Xmp.dc.description"] == {'lang="x-default"': 'A dog & a "cát" <3'}
    assert found["Xmp.iptc.AltTextAccessibility"] == found["Xmp.dc.description"]
    assert read_xmp(path) == 'A dog & a "cát" <3'
    assert path.read_text(encoding="utf-8").startswith('<?xpacket begin="\ufeff" id="W5M0MpCehi')


@pytest.mark.parametrize("description", ["", TWO_LANGUAGES])
def test_the_other_fields_of_an_existing_file_are_kept(tmp_path: Path, description: str) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_text(DARKTABLE.format(description=description))
    before = described(path)
    assert read_xmp(path) == ("Rex at the lake" if description else None)
    for text in ("A dog.", "a dog", ""):
        write_xmp(Caption(PHOTO, text), path)
        assert read_xmp(path) == text
    write_xmp(Caption(PHOTO, "a dog"), path)
    found = described(path)
    assert found.pop("Xmp.dc.description") == {
        'lang="x-default"': "a dog",
        **({'lang="de-DE"': "Rex am See"} if description else {}),
    }
    assert found.pop("Xmp.iptc.AltTextAccessibility") == {'lang="x-default"': "a dog"}
    before.pop("Xmp.dc.description", None)
    assert found == before
    assert found["Xmp.darktable.note"] == "two\nlines & more"
    assert "<!-- kept -->" in path.read_text()
    assert "ns0" not in path.read_text()


def test_a_person_s_own_alt_text_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    write_xmp(Caption(PHOTO, "a dog"), path)
    tree = ElementTree.parse(path)
    next(tree.iter(ALT_TEXT))[0][0].text = "Rex looks up"
    tree.write(path)
    write_xmp(Caption(PHOTO, "a cat"), path)
    assert read_xmp(path) == "a cat"
    assert described(path)["Xmp.iptc.AltTextAccessibility"] == {'lang="x-default"': "Rex looks up"}
    for node in list(tree.iter()):
        for description in node.findall(DESCRIPTION):
            node.remove(description)
    tree.write(path)
    assert read_xmp(path) == "Rex looks up"  # a photo with an alt text has a caption


@pytest.mark.parametrize(
    "description",
    [
        "<dc:description>Rex</dc:description>",
        "<dc:description><rdf:Bag><rdf:li>Rex</rdf:li></rdf:Bag></dc:description>",
        '<dc:description><rdf:Alt><rdf:li xml:lang="de">Rex</rdf:li></rdf:Alt></dc:description>',
    ],
)
def test_what_others_write_against_the_rules_is_read_and_put_right(
    tmp_path: Path, description: str
) -> None:
    path = tmp_path / "a.xmp"
    path.write_text(DARKTABLE.format(description=description))
    assert read_xmp(path) == "Rex"
    write_xmp(Caption(PHOTO, "a dog"), path)
    assert described(path)["Xmp.dc.description"]['lang="x-default"'] == "a dog"


def test_a_description_as_an_attribute_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_text(
        DARKTABLE.format(description="").replace('Rating="3"', 'Rating="3" dc:description="Rex"')
    )
    assert read_xmp(path) == "Rex"
    write_xmp(Caption(PHOTO, "a dog"), path)
    assert described(path)["Xmp.dc.description"] == {'lang="x-default"': "a dog"}


BOMB = """<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>"""
OUTSIDE = """<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "isn't valid XMP"),
        (b"my own notes", "isn't valid XMP"),
        (b"<x><y></x>", "isn't valid XMP"),
        (b"<x/>", "no rdf:RDF"),
        (b"<x>\xff\xfe</x>", "isn't valid XMP"),
        (b'<?xml version="1.0" encoding="klingon"?><x/>', "isn't valid XMP"),
        (BOMB.encode(), "document type"),
        (BOMB.encode("utf-16"), "document type"),
        (OUTSIDE.encode(), "document type"),
        (b'<x xmlns:ns0="a" xmlns:xml="b"/>', "isn't valid XMP"),
        (b"<x>" + b" " * LARGEST + b"</x>", "16,777,216 bytes"),
    ],
)
def test_what_is_no_xmp_stays_as_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(content)
    with pytest.raises(UnwritableError, match=reason):
        read_xmp(path)
    with pytest.raises(UnwritableError, match=reason):
        write_xmp(Caption(PHOTO, "a dog"), path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["a.xmp"]


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    deep = "<y>" * 50_000 + "</y>" * 50_000
    path.write_text(DARKTABLE.format(description=deep))
    with pytest.raises(UnwritableError, match="nested too deeply"):
        write_xmp(Caption(PHOTO, "a dog"), path)


@given(st.text(max_size=60))
def test_any_text_makes_a_file_that_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.xmp"
    write_xmp(Caption(PHOTO, text), path)
    # XML has one line end, and no control characters.
    kept = NO_XML.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    assert read_xmp(path) == kept.strip()
    described(path)  # Exiv2 reads it, too
