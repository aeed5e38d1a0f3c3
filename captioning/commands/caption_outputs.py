"""Where the caption command writes: every output opened, and kept to one run at a time."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from captioning.commands.caption_options import PHOTO_FILES

if TYPE_CHECKING:
    from captioning.output.interfaces import Output, RowFormat
    from captioning.output.photo_files import PhotoFiles


def open_outputs(
    options: argparse.Namespace, photos: list[Path], several: bool, stack: ExitStack
) -> "tuple[list[PhotoFiles], list[Output]]":
    """The files a photo, and all outputs that each caption is written to, these among them.

    They are locked until `stack` closes, but for --dry-run, which writes nothing. Raises
    `CaptioningError` if an output exists already, or another run is writing to it.
    """
    from captioning.output.rows_file import RowsFile
    from captioning.output.standard_output import StandardOutput
    from captioning.output.targets import only_writer

    files: list[PhotoFiles] = []
    if options.format in PHOTO_FILES:
        files.append(open_sidecars(options, photos))
    if options.embed:
        files.append(open_copies(options, photos))
    a_folder = options.output if options.format in PHOTO_FILES else None
    for folder in () if options.dry_run else filter(None, (a_folder, options.embed)):
        stack.enter_context(only_writer(folder))
    if options.format in PHOTO_FILES:
        return files, [*files]  # -o is the folder of the sidecars then, not a file of rows
    rows = row_format(options, several)
    if options.output is None:
        return files, [*files, StandardOutput(rows, options.unsure)]
    if not options.dry_run:
        stack.enter_context(only_writer(options.output))
    file = RowsFile(options.output, rows, options.resume, options.overwrite, options.unsure)
    return files, [*files, file]


def open_sidecars(options: argparse.Namespace, photos: list[Path]) -> "PhotoFiles":
    """The sidecars of --format sidecar and xmp. Raises `CaptioningError` as `open_outputs`."""
    from captioning.output.photo_files import PhotoFiles
    from captioning.output.sidecars import read_sidecar, write_sidecar
    from captioning.output.targets import refuse_existing, refuse_read_only, targets_of
    from captioning.output.xmp_sidecars import read_xmp, write_xmp

    is_xmp = options.format == "xmp"
    read, write = (read_xmp, write_xmp) if is_xmp else (read_sidecar, write_sidecar)
    ending = ".xmp" if is_xmp else ".txt"
    targets = targets_of(photos, options.image, options.output, ending, options.short_names)
    if not options.dry_run:
        refuse_read_only(targets)
    files = PhotoFiles(
        targets,
        lambda photo: read(targets[photo]),
        write,
        options.existing or ("skip" if options.resume else "replace"),
        # An .xmp file may be there without a caption in it.
        resume=options.resume and not options.existing and not is_xmp,
    )
    if not (options.existing or options.resume or options.overwrite):
        there = [target for photo, target in targets.items() if files.captioned(photo) is not False]
        refuse_existing(there, "; --existing append adds to them")
    return files


def open_copies(options: argparse.Namespace, photos: list[Path]) -> "PhotoFiles":
    """The copies of --embed. Raises `CaptioningError` as `open_outputs`."""
    from captioning.output.embedding import check_embedding, read_description, write_copy
    from captioning.output.photo_files import PhotoFiles
    from captioning.output.targets import (
        refuse_existing,
        refuse_inside,
        stat_or_none,
        targets_of,
    )

    check_embedding()
    # Only --recursive would find the copies in a subfolder the next time.
    refuse_inside(options.embed, options.image if options.recursive else [])
    targets = targets_of(photos, options.image, options.embed)
    if not (options.resume or options.overwrite):
        refuse_existing([target for target in targets.values() if stat_or_none(target)])
    return PhotoFiles(
        targets,
        read_description,
        write_copy,
        options.existing or "replace",
        options.resume,
    )


def places(options: argparse.Namespace) -> list[str]:
    """What this run writes, for its last line: files and folders; none for standard output."""
    beside = "sidecars beside the photos" if options.format in PHOTO_FILES else None
    found = [options.output or beside, options.embed]
    return [str(place) for place in found if place]


def row_format(options: argparse.Namespace, several: bool) -> "RowFormat":
    """How captions are written as rows. A single photo's text needs no name."""
    from captioning.output.row_formats import CsvFormat, JsonLinesFormat, TextFormat

    if options.format == "csv":
        return CsvFormat(marks=options.unsure is not None)
    if options.format == "jsonl":
        return JsonLinesFormat(options.top)
    if options.format == "html":
        from captioning.output.html_format import HtmlFormat

        return HtmlFormat((options.output.parent if options.output else Path()).resolve())
    return TextFormat(named=several or options.output is not None)
