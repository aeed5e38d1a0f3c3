"""What leaves the desk: tables, archives, and files beside the photos."""

import csv
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.app.decisions import DONE
from captioning.app.desk import Desk
from captioning.app.photos import content_of
from captioning.errors import CaptioningError
from captioning.files.whole import written_whole
from captioning.inference.captioner import Caption
from captioning.output.embedding import check_embedding, describe_image, write_copy
from captioning.output.escaping import spreadsheet_cell
from captioning.output.row_formats import JsonLinesFormat
from captioning.output.sidecars import write_sidecar
from captioning.output.targets import UnwritableError
from captioning.output.xmp_sidecars import write_xmp

COLUMNS = ("image", "alt_text", "approved", "state", "person", "model_caption", "score", "familiar")

COPIES = "captioned"
"""The folder, beside that of the photos, that copies with captions are written into."""


@dataclass(frozen=True)
class FileKind:
    """A file for each photo: what it is called, and what writes it.

    ending: behind the photo's name, "" for a copy of the photo.
    """

    label: str
    ending: str
    write: Callable[[Caption, Path], None]


INTO = "photos"
"""The kind that changes the photos' files themselves."""

FILES = {
    "sidecars": FileKind("text files (.txt)", ".txt", write_sidecar),
    "xmp": FileKind(".xmp files, as photo managers read them", ".xmp", write_xmp),
    "copies": FileKind("copies that carry their captions", "", write_copy),
}
"""By their names in addresses."""

TABLES = {"csv": "CSV", "jsonl": "JSONL"}


def about_out(desk: Desk) -> dict[str, Any]:
    """What the page offers."""
    kinds = {kind: about.label for kind, about in FILES.items() if kind != "copies" or can_embed()}
    zips = {kind: f"{label}, .zip" for kind, label in kinds.items()}
    folder = desk.folders.folder
    beside = {
        kind: f"{label} in {copies_folder(folder).name}/" if kind == "copies" else label
        for kind, label in kinds.items()
        if folder is not None
    }
    if folder is not None and can_embed():
        beside[INTO] = "into the photos themselves"
    return {
        "folder": None if folder is None else str(folder),
        "downloads": [{"kind": kind, "label": label} for kind, label in {**TABLES, **zips}.items()],
        "writes": [{"kind": kind, "label": label} for kind, label in beside.items()],
    }


def can_embed() -> bool:
    """Whether the library that writes descriptions into copies is installed."""
    try:
        check_embedding()
    except CaptioningError:
        return False
    return True


def rows_out(desk: Desk, which: str) -> list[dict[str, Any]]:
    """The photos that have a caption, or need none, by name: all of them, or which = "approved"."""
    rows = [row for row in desk.project.rows() if caption_of(row) or row["state"] == "decorative"]
    if which == "approved":
        rows = [row for row in rows if row["state"] in DONE]
    return sorted(rows, key=lambda row: row["path"])


def caption_of(row: dict[str, Any]) -> str:
    """A person's caption, otherwise the model's; none for a decorative photo."""
    if row["state"] == "decorative":
        return ""
    return row["caption"] or (row["best"][0][0] if row["best"] else "")


def table(desk: Desk, kind: str, which: str) -> str:
    """The rows as "csv" or "jsonl"; in CSV no cell can be taken for a formula."""
    rows = rows_out(desk, which)
    if kind == "jsonl":
        return "".join(_json_line(row) for row in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([spreadsheet_cell(cell) for cell in _cells(row)])
    return text.getvalue()


def _cells(row: dict[str, Any]) -> list[str]:
    said, score = row["best"][0] if row["best"] else ("", None)
    return [
        _name(row),
        caption_of(row),
        "yes" if row["state"] in DONE else "no",
        row["state"],
        row["person"],
        said,
        "" if score is None else f"{score:.4f}",
        "" if row["familiar"] is None else f"{row['familiar']:.3f}",
    ]


def _json_line(row: dict[str, Any]) -> str:
    """The row that captioning writes, with what a person decided of it."""
    best = [tuple(one) for one in row["best"]]
    score = best[0][1] if best else float("nan")
    caption = Caption(row["path"], caption_of(row), score, best, familiar=row["familiar"])
    found = json.loads(JsonLinesFormat(max(2, len(best))).row_of(caption))
    found["image"] = _name(row)
    decided = {
        "approved": row["state"] in DONE,
        "state": row["state"],
        "person": row["person"],
    }
    return json.dumps({**found, **decided}, ensure_ascii=False) + "\n"


def _name(row: dict[str, Any]) -> str:
    return row["path"].as_posix().encode("utf-8", "replace").decode("utf-8")


def write_archive(desk: Desk, kind: str, which: str, target: Path) -> None:
    """A zip of a file for each photo; photos that can't have one are told in README.txt in it."""
    about = FILES[kind]
    left_out = []
    beside = target.with_name("one")
    with zipfile.ZipFile(target, "w") as archive:
        for row in rows_out(desk, which):
            beside.unlink(missing_ok=True)  # an .xmp file would be written into
            try:
                about.write(_caption(desk, row), beside)
                archive.write(beside, _name(row) + about.ending)
            except UnwritableError as error:
                left_out.append(f"{_name(row)}: {error}")
        if left_out:
            archive.writestr("README.txt", "Left out:\n" + "\n".join(left_out) + "\n")


def _caption(desk: Desk, row: dict[str, Any]) -> Caption:
    place = desk.folders.locate(row["path"], row["dropped"])
    score = row["best"][0][1] if row["best"] else float("nan")
    return Caption(place, caption_of(row), score, familiar=row["familiar"])


def write_beside(desk: Desk, kind: str, which: str, replace: bool) -> dict[str, Any]:
    """Write a file for each photo of the folder, and give {"sentence": what was written}.

    Where files exist nothing is written, and {"question": what to agree to} is given, unless they
    may be replaced; so it is with the photos themselves. Raises `CaptioningError` if the disk
    refuses.
    """
    folder = desk.folders.folder
    if folder is None:
        raise CaptioningError("there is no folder of photos: open one with app.py FOLDER")
    rows = [row for row in rows_out(desk, which) if not row["dropped"]]
    if kind == INTO:
        return _write_into(desk, [row for row in rows if caption_of(row)], replace)
    about = FILES[kind]
    root = copies_folder(folder) if kind == "copies" else folder
    targets = [root / row["path"].with_name(row["path"].name + about.ending) for row in rows]
    existing = sum(target.exists() for target in targets)
    if existing and not replace:
        return {"question": f"{existing:,} of these files exist already. Replace them?"}
    left_out = []
    for row, target in zip(rows, targets, strict=True):
        try:
            about.write(_caption(desk, row), target)
        except UnwritableError as error:
            left_out.append(f"{_name(row)} was left out: {error}.")
    written = f"{len(rows) - len(left_out):,} files were written into {root}."
    return {"sentence": " ".join([written, *_some(left_out)])}


def _write_into(desk: Desk, rows: Sequence[dict[str, Any]], agreed: bool) -> dict[str, Any]:
    """Write captions into the photos' own files, if that was agreed to."""
    if rows and not agreed:
        return {
            "question": f"This changes {len(rows):,} photo files: each gets its caption as its "
            "description, in place of one that it has. The pictures stay as they are. Go on?"
        }
    left_out = []
    for row in rows:
        try:
            embed(desk, row)
        except UnwritableError as error:
            left_out.append(f"{_name(row)} was left out: {error}.")
    written = f"{len(rows) - len(left_out):,} photos carry their captions."
    return {"sentence": " ".join([written, *_some(left_out)])}


def embed(desk: Desk, row: dict[str, Any]) -> None:
    """Write a caption into the photo's own file; the project knows the changed file as that photo.

    Raises `UnwritableError` for a photo that has changed or can't carry it, and `CaptioningError`
    if the disk refuses.
    """
    place = desk.folders.locate(row["path"], row["dropped"]).resolve()  # not a link to it
    try:
        image = place.read_bytes()
    except OSError as error:
        raise UnwritableError(f"it can no longer be read ({error.strerror})") from None
    if content_of(image) != row["photo"]:
        raise UnwritableError("its file has changed, and gets a new caption first")
    if not os.access(place, os.W_OK):
        raise UnwritableError("its file is read-only")
    described = describe_image(image, caption_of(row))
    if described == image:
        return
    desk.project.expect(row["number"], content_of(described))
    with desk.writing:
        with written_whole(place) as beside:
            beside.write_bytes(described)
            shutil.copymode(place, beside)
        if (file := desk.folders.file(row["path"], row["dropped"])) is not None:
            desk.project.replaced(row["number"], file, content_of(described))


def copies_folder(folder: Path) -> Path:
    """Where copies of a folder's photos go: beside it, so that they are not captioned as well."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}-{COPIES}")


def _some(sentences: Sequence[str]) -> list[str]:
    more = [f"And {len(sentences) - 3} more."] if len(sentences) > 3 else []
    return [*sentences[:3], *more]
