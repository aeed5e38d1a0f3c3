"""The download of Flickr8k from a stand-in on loopback: complete, or refused with nothing left."""

import http.server
import socket
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from captioning.data.download import download_flickr8k
from captioning.errors import CaptioningError
from captioning.files.locks import locked


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[str]:
    """A small stand-in for the release: two zips, served on loopback."""
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(site / "Flickr8k_Dataset.zip", "w") as archive:
        for i in range(3):
            archive.writestr(f"Flicker8k_Dataset/{i}.jpg", b"x" * 5000)
        archive.writestr("__MACOSX/Flicker8k_Dataset/._0.jpg", b"junk")
    with zipfile.ZipFile(site / "Flickr8k_text.zip", "w") as archive:
        rows = "".join(f"{i}.jpg#0\tA dog .\n" for i in range(3))
        archive.writestr("Flickr8k.token.txt", rows)
        archive.writestr("Flickr_8k.trainImages.txt", "0.jpg\n")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_QuietHandler, directory=str(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_download_lays_both_folders_out(tmp_path: Path, archives: str) -> None:
    home = tmp_path / "home"
    images, text = home / "Flicker8k_Dataset", home / "Flickr_8k_text"
    download_flickr8k(images, text, archives, photos=3, captions=3)
    assert sorted(p.name for p in images.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
    assert {p.name for p in text.iterdir()} == {"Flickr8k.token.txt", "Flickr_8k.trainImages.txt"}
    assert {p.name for p in home.iterdir()} == {"Flicker8k_Dataset", "Flickr_8k_text"}
    download_flickr8k(images, text, "http://127.0.0.1:1", photos=3, captions=3)  # all there


def test_a_short_or_failing_download_leaves_nothing(tmp_path: Path, archives: str) -> None:
    home = tmp_path / "home"
    images, text = home / "Flicker8k_Dataset", home / "Flickr_8k_text"
    with pytest.raises(CaptioningError, match="not 8,091 and 40,460"):
        download_flickr8k(images, text, archives)
    with pytest.raises(CaptioningError, match="cannot download"):
        download_flickr8k(images, text, archives + "/nothing-here")
    assert list(home.iterdir()) == []


def test_remains_of_a_killed_download_are_removed_and_two_refuse_each_other(
    tmp_path: Path, archives: str
) -> None:
    images, text = tmp_path / "Flicker8k_Dataset", tmp_path / "Flickr_8k_text"
    left = tmp_path / ".download" / "images"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"half")
    with (
        locked(tmp_path / ".download.lock", left, "wait"),
        pytest.raises(CaptioningError, match="another run is writing"),
    ):
        download_flickr8k(images, text, archives, photos=3, captions=3)
    assert (left / "half.jpg").exists()
    download_flickr8k(images, text, archives, photos=3, captions=3)
    assert {p.name for p in tmp_path.iterdir()} == {"Flicker8k_Dataset", "Flickr_8k_text", "site"}
    assert sorted(p.name for p in images.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]


class _RedirectingHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802 (the name is http.server's)
        """Redirect to another address."""
        self.send_response(302)
        self.send_header("Location", "http://example.com/x.zip")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def test_a_redirection_to_an_address_without_https_is_refused(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _RedirectingHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(CaptioningError, match="not https"):
        download_flickr8k(
            tmp_path / "home" / "images",
            tmp_path / "home" / "text",
            f"http://127.0.0.1:{server.server_port}",
        )
    server.shutdown()
    server.server_close()
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"no HTTP at all\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ncut off",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
    ],
)
def test_a_server_that_talks_nonsense_ends_in_a_message(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        threading.Thread(target=answer_once, daemon=True).start()
        with pytest.raises(CaptioningError, match="cannot download"):
            download_flickr8k(
                tmp_path / "home" / "images",
                tmp_path / "home" / "text",
                f"http://127.0.0.1:{server.getsockname()[1]}",
            )
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    "member",
    [
        "../../outside.jpg",
        "/outside.jpg",
        "a/../../outside.jpg",
        "..\\outside.jpg",
        "C:\\outside.jpg",
    ],
)
def test_an_archive_that_would_leave_the_folder_is_refused(
    tmp_path: Path, archives: str, member: str
) -> None:
    with zipfile.ZipFile(tmp_path / "site" / "Flickr8k_Dataset.zip", "a") as archive:
        archive.writestr(member, b"a hostile name")
    with pytest.raises(CaptioningError, match="would leave the folder"):
        download_flickr8k(tmp_path / "home" / "images", tmp_path / "home" / "text", archives, 4, 3)
    assert list((tmp_path / "home").iterdir()) == []
    assert not list(tmp_path.rglob("outside*"))


def test_damaged_archives_and_bombs_are_refused(
    tmp_path: Path, archives: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, zip_file = tmp_path / "home", tmp_path / "site" / "Flickr8k_Dataset.zip"
    whole = zip_file.read_bytes()
    broken = {"cut": whole[:-30], "empty": b"", "text": b"not found", "bits": bytearray(whole)}
    broken["bits"][60:90] = b"\xff" * 30
    for content in broken.values():
        zip_file.write_bytes(content)
        with pytest.raises(CaptioningError, match="damaged|unpack|not 3"):
            download_flickr8k(home / "images", home / "text", archives, 3, 3)
    zip_file.write_bytes(whole)
    monkeypatch.setattr("captioning.data.download.LARGEST", 10_000)
    with pytest.raises(CaptioningError, match="more than 10,000 bytes"):
        download_flickr8k(home / "images", home / "text", archives, 3, 3)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "source",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc",
        "javascript:x",
        "",
        "http://127.0.0.1.example.com",
    ],
)
def test_only_https_is_downloaded_from(tmp_path: Path, source: str) -> None:
    with pytest.raises(CaptioningError, match="https"):
        download_flickr8k(tmp_path / "a" / "images", tmp_path / "a" / "text", source)
    assert not (tmp_path / "a").exists()
