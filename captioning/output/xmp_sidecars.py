"""An .xmp file with the caption beside each photo; what else such a file holds is kept.

The caption is dc:description, as Lightroom, digiKam, darktable and exiftool read it, in the
language x-default, and the IPTC's alt text (AltTextAccessibility) where no other is there:
https://developer.adobe.com/xmp/docs/XMPSpecifications/ (part 1, sections 7 and 8),
https://www.iptc.org/std/photometadata/specification/.
"""

import re
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.sidecars import blame_photo
from captioning.output.targets import UnwritableError, stat_or_none

LARGEST = 16 << 20
"""Files of more bytes are refused before they are read."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"

DESCRIPTION = f"{{{DC}}}description"
ALT_TEXT = f"{{{IPTC}}}AltTextAccessibility"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

EMPTY = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description
rdf:about="" xmlns:dc="{DC}" xmlns:Iptc4xmpCore="{IPTC}"/></rdf:RDF></x:xmpmeta>""".encode()

# The wrapper by which programs find the packet; its identifier is the specification's.
BEFORE = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
AFTER = '\n<?xpacket end="w"?>\n'

NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML can't hold, not even escaped."""


def read_xmp(sidecar: Path) -> str | None:
    """The caption in an .xmp file; None where there is no file, or no caption in it.

    Raises `UnwritableError` for a file that isn't XMP, or can't be read.
    """
    if stat_or_none(sidecar) is None:
        return None
    rdf = _rdf_of(_parsed(sidecar))
    description = _read(rdf, DESCRIPTION)
    return _read(rdf, ALT_TEXT) if description is None else description


def write_xmp(caption: Caption, sidecar: Path) -> None:
    """Write the caption into an .xmp file, a new one or that which is there, whole or not at all.

    Other fields, other languages, and an alt text that differs from the description are kept.
    Raises `UnwritableError` for a file that isn't XMP, and for a name that is too long.
    """
    root = _parsed(sidecar)
    rdf = _rdf_of(root)
    text = NO_XML.sub("\ufffd", caption.caption)
    old, alt_text = _read(rdf, DESCRIPTION), _read(rdf, ALT_TEXT)
    _write(rdf, DESCRIPTION, text)
    if alt_text in (None, old):
        _write(rdf, ALT_TEXT, text)
    try:
        packet = BEFORE + ElementTree.tostring(root, encoding="unicode") + AFTER
    except RecursionError:
        raise UnwritableError(f"{sidecar.name} is nested too deeply") from None
    try:
        with written_whole(sidecar) as beside:
            beside.write_text(packet, encoding="utf-8", newline="\n")
    except CaptioningError as error:
        blame_photo(error, ".xmp")
        raise


def _parsed(sidecar: Path) -> ElementTree.Element:
    """The XML of an .xmp file, or of an empty packet where there is none."""
    known = stat_or_none(sidecar)
    try:
        if known and known.st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        raw = sidecar.read_bytes() if known else EMPTY
        # ElementTree invents prefixes for the namespaces that it wasn't told of.
        for uri, prefix in _prefixes(raw).items():
            if not re.fullmatch(r"ns\d+", prefix):  # those it keeps for itself
                ElementTree.register_namespace(prefix, uri)
        # By themselves, comments and processing instructions would be dropped.
        builder = ElementTree.TreeBuilder(insert_comments=True, insert_pis=True)
        return ElementTree.fromstring(raw, ElementTree.XMLParser(target=builder))
    except OSError as error:
        raise UnwritableError(f"{sidecar.name} can't be read ({error.strerror})") from None
    except (ValueError, LookupError, SyntaxError, expat.ExpatError) as error:
        raise UnwritableError(
            f"{sidecar.name} stays as it is, as it isn't valid XMP ({error})"
        ) from None


def _prefixes(raw: bytes) -> dict[str, str]:
    """The prefix of each namespace, as the file calls it.

    Raises ValueError for a document type: XMP has none, and only there entities are declared,
    which grow to any size or read other files.
    """

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type")

    found: dict[str, str] = {}
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.StartNamespaceDeclHandler = lambda prefix, uri: found.setdefault(uri or "", prefix or "")
    parser.Parse(raw, True)
    return {uri: prefix for uri, prefix in found.items() if uri and prefix}


def _rdf_of(root: ElementTree.Element) -> ElementTree.Element:
    """The element that holds all fields. Raises `UnwritableError` where there is none."""
    for element in root.iter(f"{{{RDF}}}RDF"):
        return element
    raise UnwritableError("its .xmp file stays as it is, as it isn't valid XMP (no rdf:RDF in it)")


def _read(rdf: ElementTree.Element, field: str) -> str | None:
    """The text of a field, that of x-default before other languages; None where it is missing."""
    for node in rdf.findall(f"{{{RDF}}}Description"):
        if field in node.attrib:  # not by the specification, but some programs write it so
            return node.attrib[field].strip()
        element = node.find(field)
        if element is not None:
            texts = element.findall(f".//{{{RDF}}}li")
            best = [text for text in texts if _is_default(text)] or texts or [element]
            return "".join(best[0].itertext()).strip()
    return None


def _write(rdf: ElementTree.Element, field: str, text: str) -> None:
    """Set the text of a field in x-default."""
    nodes = rdf.findall(f"{{{RDF}}}Description")
    for node in nodes:
        node.attrib.pop(field, None)
    found = [element for node in nodes for element in node.findall(field)]
    if not nodes:
        nodes = [ElementTree.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})]
    element = found[0] if found else ElementTree.SubElement(nodes[0], field)
    languages = element.find(f"{{{RDF}}}Alt")
    if languages is None:  # new, or a plain text
        element.clear()
        languages = ElementTree.SubElement(element, f"{{{RDF}}}Alt")
    default = next(filter(_is_default, languages), None)
    if default is None:
        default = ElementTree.Element(f"{{{RDF}}}li", {LANGUAGE: "x-default"})
        languages.insert(0, default)  # the specification wants it first
    del default[:]
    default.text = text


def _is_default(item: ElementTree.Element) -> bool:
    return item.get(LANGUAGE, "").lower() == "x-default"
