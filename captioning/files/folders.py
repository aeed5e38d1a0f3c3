"""Folders that must be there: what to say of one that is missing, or that is a file."""

from pathlib import Path

from captioning.errors import CaptioningError


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
            raise CaptioningError(
                f"{path} is a file, where a folder is needed; name another folder"
            )
