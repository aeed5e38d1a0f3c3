"""Which format a dataset has: all that are known, and the one that fits a folder."""

import importlib
import pkgutil
from pathlib import Path
from typing import cast

from captioning.data import formats
from captioning.data.photos import IMAGE_ENDINGS, files_in
from captioning.data.source import Columns, Format, Listing, Source
from captioning.errors import CaptioningError


def format_names() -> list[str]:
    """The formats that there are; at once, none is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def open_dataset(
    path: Path,
    name: str | None = None,
    images: Path | None = None,
    columns: Columns | None = None,
) -> Source:
    """The dataset in a folder, or of one file.

    name: its format, which is recognised if none is given; images: the folder of photos, otherwise
    they are looked for in the dataset's folder and below; columns: of tables.

    Raises `CaptioningError` when there is none, or when it could be several, with what was seen.
    """
    path = Path(path)
    listing = _list(path)
    names = [name] if name else format_names()
    known = {n: _format(n) for n in names}
    found = {n: files for n in names if (files := known[n].find(listing))}
    if name and not found and listing.is_file:  # whatever it is called
        found = {name: [path]}
    _leave_to_others(found)
    if not found:
        raise CaptioningError(_nothing_found(path, listing, known))
    if len(found) > 1:
        ways = "; ".join(f"{n} ({_some(files, path)})" for n, files in found.items())
        raise CaptioningError(
            f"{path} can be read in {len(found)} ways: {ways}; choose one with --data-format"
        )
    (chosen,) = found
    files = found[chosen]
    if known[chosen].ONE_FILE and len(files) > 1:
        raise CaptioningError(
            f"{path} has {len(files)} datasets: {_some(files, path)}; name one of the files with "
            "--data, and the folder of its photos with --images"
        )
    return known[chosen].read(files, Path(images) if images else listing.root, columns or Columns())


def _leave_to_others(found: dict[str, list[Path]]) -> None:
    """Take from "table", which takes any, the files that a format knows by their names.

    So are tables about a shard beside it: img2dataset writes 00000.parquet for 00000.tar.
    """
    if "table" in found and len(found) > 1:
        others = {path for name, files in found.items() if name != "table" for path in files}
        shards = {path.with_suffix("") for path in found.get("webdataset", [])}
        found["table"] = [
            path
            for path in found["table"]
            if path not in others and path.with_suffix("") not in shards
        ]
        if not found["table"]:
            del found["table"]


def _list(path: Path) -> Listing:
    if path.is_file():
        return Listing(path.parent, [path.name], is_file=True)
    if not path.is_dir():
        raise CaptioningError(f"the dataset {path} is missing; name its folder or file with --data")
    return Listing(path, files_in(path))


def _format(name: str) -> Format:
    return cast(Format, importlib.import_module(f"{formats.__name__}.{name}"))


def _nothing_found(path: Path, listing: Listing, known: dict[str, Format]) -> str:
    """What was seen, and what is looked for."""
    photos = sum(Path(name).suffix.lower() in IMAGE_ENDINGS for name in listing.files)
    others = [n for n in listing.files if Path(n).suffix.lower() not in IMAGE_ENDINGS]
    more = f" and {len(others) - 5:,} more" if len(others) > 5 else ""
    seen = f"{photos:,} photos and {', '.join(others[:5]) or 'nothing else'}{more}"
    wanted = "; ".join(f"{name}: {known[name].WHAT}" for name in known)
    return f"no captions found in {path}, which holds {seen}; looked for {wanted}"


def _some(files: list[Path], path: Path) -> str:
    """The first three files, for messages."""
    names = [str(f.relative_to(path)) if f.is_relative_to(path) else f.name for f in files]
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
