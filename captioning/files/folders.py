"""Folders that must be there: what to say of one that is missing, or that is a file."""

from collections.abc import Sequence
from pathlib import Path

from captioning.errors import CaptioningError, command_line


def check_folder(folder: Path, what: str, missing: str = "") -> None:
    """Raise `CaptioningError` unless the folder exists.

    what: the folder's role, for the message; missing: what to do when there is nothing.
    """
    folder = Path(folder)
    if folder.is_dir():
        return
    if folder.exists():
        perhaps = f", perhaps {folder.parent}" if folder.parent.name else ""
        raise CaptioningError(f"{folder} is a file, where {what} is needed{perhaps}")
    raise CaptioningError(f"{what} {folder} is missing" + (f"; {missing}" if missing else ""))


def check_room_for_folder(folder: Path) -> None:
    """Raise `CaptioningError` where a file is in the way of a folder that is to be made."""
    for path in (Path(folder), *Path(folder).parents):
        if path.is_dir():
            return
        if path.exists():
            raise CaptioningError(f"{path} is a file, where a folder is needed; name another")


def check_parts(folder: Path, names: Sequence[str], command: str) -> None:
    """Raise `CaptioningError` naming the files that a folder lacks, and what makes them.

    command: the name of one of `errors.SCRIPTS`, which has --output.
    """
    missing = [name for name in names if not (Path(folder) / name).is_file()]
    if missing:
        output = "" if Path(folder) == Path("models") else f" --output {folder}"
        verb, what = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise CaptioningError(
            f"{', '.join(missing)} {verb} missing in {folder}; make {what} with: "
            f"{command_line(command)}{output}"
        )
