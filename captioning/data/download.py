"""Flickr8k from the web: two zip archives, checked and unpacked into the two folders."""

import http.client
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from captioning.errors import CaptioningError
from captioning.files.locks import locked

SOURCE = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"

PHOTOS_ZIP, TEXT_ZIP = "Flickr8k_Dataset.zip", "Flickr8k_text.zip"

PHOTOS, CAPTIONS = 8_091, 40_460
"""How many photos and caption rows the archives hold."""

LARGEST = 4 << 30
"""Bytes of an archive, and of what it is unpacked to; the photos have 1.1 billion."""

_CHUNK = 1 << 20  # bytes that are read and written at once


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent on to an address that isn't https."""

    def redirect_request(self, request: Any, *others: Any) -> Any:
        """The request for the new address, the last of the arguments."""
        _check_address(others[-1])
        return super().redirect_request(request, *others)


def _check_address(url: str) -> None:
    """Raise `CaptioningError` unless the address is https, or of this machine (as in tests)."""
    parts = urllib.parse.urlsplit(url)
    own_machine = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if not (parts.scheme == "https" and parts.hostname or own_machine):
        raise CaptioningError(
            f"the address {url!r} is not https: anyone on the way could change what comes from it"
        )


def download_flickr8k(
    images: Path,
    text: Path,
    source: str = SOURCE,
    photos: int = PHOTOS,
    captions: int = CAPTIONS,
) -> None:
    """Fetch both archives from `source` and unpack them, unless the photos are there already.

    images, text: the folders to fill; photos, captions: how many there must be. Shows progress
    bars. Nothing unfinished stays behind: archives are unpacked beside the folders, then moved.
    Raises `CaptioningError` when the download fails, an address isn't https, a file in an archive
    would leave the folder, the archives hold something else, or another run is downloading.
    """
    images, text = Path(images), Path(text)
    have_text = (text / "Flickr8k.token.txt").is_file()
    if have_text and images.is_dir() and sum(1 for _ in images.glob("*.jpg")) >= photos:
        return
    _check_address(source)
    home = images.parent
    with (
        locked(home / ".download.lock", home / ".download", "stop it"),
        _scratch(home / ".download") as beside,
    ):
        for name, into in ((TEXT_ZIP, beside / "text"), (PHOTOS_ZIP, beside / "images")):
            _fetch(f"{source.rstrip('/')}/{name}", beside / name)
            _unpack(beside / name, into, {".txt"} if name == TEXT_ZIP else {".jpg"})
            (beside / name).unlink()  # else the disk would hold the photos twice
        _check_counts(beside / "images", beside / "text", photos, captions, source)
        _move_files(beside / "text", text)
        _move_files(beside / "images", images)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder, removed afterwards; what a killed run left in it is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(url: str, path: Path) -> None:
    """Download a file. Raises `CaptioningError` when it doesn't come, or not whole."""
    opener = urllib.request.build_opener(_OnlyHttps)
    try:
        with (
            opener.open(url, timeout=60) as answer,
            path.open("wb") as file,
            tqdm(
                total=int(answer.headers.get("Content-Length") or 0) or None,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                desc=path.name,
            ) as bar,
        ):
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
                # What the server says of the length is not trusted.
                if bar.n > LARGEST:
                    raise OSError(f"more than {LARGEST:,} bytes came")
            if bar.total and bar.n != bar.total:
                raise OSError(f"only {bar.n:,} of {bar.total:,} bytes came")
    except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError) as error:
        raise CaptioningError(
            f"cannot download {url} ({getattr(error, 'reason', error)}); check the connection "
            "and try again, or fetch the archive by hand and unpack it"
        ) from None


def _unpack(archive: Path, into: Path, endings: set[str]) -> None:
    """Take the files with those endings out of a zip into one folder, without their own folders.

    Raises `CaptioningError` for a damaged archive, and for one that would fill the disk or write
    elsewhere.
    """
    into.mkdir()
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if sum(member.file_size for member in members) > LARGEST:
                raise zipfile.BadZipFile(f"unpacked it would have more than {LARGEST:,} bytes")
            for member in tqdm(members, unit=" files", desc=f"unpacking {archive.name}"):
                # Windows' separators too: a name from elsewhere must not lead out of the folder.
                name = PurePosixPath(member.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                    raise zipfile.BadZipFile(f"{member.filename!r} would leave the folder")
                # macOS packs a file of its own beside each.
                is_hidden = name.name.startswith(".") or name.parts[0] == "__MACOSX"
                if is_hidden or name.suffix.lower() not in endings:
                    continue
                with opened.open(member) as source, (into / name.name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except OSError as error:
        raise CaptioningError(f"cannot unpack {archive.name}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, RuntimeError, EOFError, zlib.error, IndexError) as error:
        raise CaptioningError(f"the archive {archive.name} is damaged ({error})") from None


def _check_counts(images: Path, text: Path, photos: int, captions: int, source: str) -> None:
    found = sum(1 for _ in images.iterdir())
    tokens = text / "Flickr8k.token.txt"
    rows = tokens.read_bytes().count(b"\n") if tokens.is_file() else 0
    # The last row of some copies has no line end.
    if found != photos or rows not in (captions, captions - 1):
        raise CaptioningError(
            f"the archives of {source} hold {found:,} photos and {rows:,} captions, not "
            f"{photos:,} and {captions:,}; nothing was unpacked"
        )


def _move_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        shutil.move(file, target / file.name)
