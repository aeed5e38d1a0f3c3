"""Where the caption command writes: every output opened, and kept to one run at a time."""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captioning.inference.captioner import Caption
    from captioning.output.interfaces import Output, RowFormat


def open_outputs(
    options: argparse.Namespace, photos: list[Path], several: bool, stack: ExitStack
) -> "list[Output]":
    """Everything that each caption is written to, locked until `stack` closes.

    Raises `CaptioningError` if an output exists already, or another run is writing to it.
    """
    from captioning.output.photo_files import PhotoFiles
    from captioning.output.rows_file import RowsFile
    from captioning.output.sidecars import write_sidecar
    from captioning.output.standard_output import StandardOutput
    from captioning.output.targets import only_writer, refuse_existing, refuse_inside, targets_of

    def open_photo_files(
        write: "Callable[[Caption, Path], None]", folder: Path | None, ending: str
    ) -> PhotoFiles:
        targets = targets_of(photos, options.image, folder, ending)
        if folder is not None:
            stack.enter_context(only_writer(folder))
        if not (options.resume or options.overwrite):
            refuse_existing(targets)
        return PhotoFiles(targets, write, options.resume)

    outputs: list[Output] = []
    if options.format == "sidecar":
        outputs.append(open_photo_files(write_sidecar, options.output, ".txt"))
    if options.embed:
        from captioning.output.embedding import check_embedding, write_copy

        check_embedding()
        # Only --recursive would find the copies in a subfolder the next time.
        refuse_inside(options.embed, options.image if options.recursive else [])
        outputs.append(open_photo_files(write_copy, options.embed, ""))
    if options.format == "sidecar":
        return outputs  # -o is the folder of the sidecars then, not a file of rows
    rows = row_format(options, several)
    if options.output is None:
        return [*outputs, StandardOutput(rows, options.unsure)]
    stack.enter_context(only_writer(options.output))
    file = RowsFile(options.output, rows, options.resume, options.overwrite, options.unsure)
    return [*outputs, file]


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
