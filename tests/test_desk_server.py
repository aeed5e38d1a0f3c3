"""The desk's server, asked over HTTP: its guard, uploads, limits, tables and files, programs."""

import csv
import http.client
import io
import json
import re
import socket
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from captioning.app import background, folder_watch, learning, photos
from captioning.app.server import Address, page_address
from captioning.commands.app import TOKEN, check_arguments, main, parse_arguments
from captioning.data.photos import has_subfolders
from captioning.errors import CaptioningError
from tests.conftest import ROOT
from tests.desks import Served, captioner, form, served, until
from tests.sample_photos import make_photos

CAT = ROOT / "samples" / "cat.jpg"
SECRET = "a-token-of-enough-letters"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A desk with twelve photos, all of them captioned."""
    folder = tmp_path_factory.mktemp("desk") / "photos"
    make_photos(folder, 11)
    (folder / "broken.jpg").write_text("no photo")
    with served(folder, folder / "captions.sqlite") as found:
        found.captioned()
        yield found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Served]:
    """A desk without a folder."""
    with served(None, tmp_path / "captions.sqlite") as found:
        yield found


def test_wrong_arguments_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "short")
    with pytest.raises(CaptioningError, match="less than 16 letters; make one: export"):
        main([])
    monkeypatch.delenv(TOKEN)
    for arguments, message in (
        (["--model", tmp_path / "none"], "is missing"),
        (["--port", "0"], "--port 0"),
        (["--corrections", tmp_path / "none" / "c.jsonl"], "no such folder"),
        (["--corrections", tmp_path], "is a folder"),
        (["--project", tmp_path / "none" / "p.sqlite"], "no such folder"),
        ([tmp_path / "none"], "none is missing"),
        (["--recursive"], "wants a folder"),
        (["--host", "0.0.0.0"], "wants a token"),
    ):
        with pytest.raises(CaptioningError, match=message):
            main(list(map(str, arguments)))


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        (Address("127.0.0.1", 7860), "http://127.0.0.1:7860"),
        (Address("::1", 7860), "http://[::1]:7860"),
        (Address("0.0.0.0", 80, SECRET), f"http://{socket.gethostname()}:80/?token=..."),
    ],
)
def test_where_the_page_is_opened_is_told(address: Address, wanted: str) -> None:
    assert page_address(address) == wanted


def test_corrections_of_a_folder_that_cannot_be_written_lie_beside_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, project = tmp_path / "photos", tmp_path / "p.sqlite"
    photos.mkdir()
    for writable, wanted in ((True, photos), (False, tmp_path)):
        monkeypatch.setattr("os.access", lambda path, mode, found=writable: found)
        options = parse_arguments([str(photos), "--project", str(project)], None)
        check_arguments(options)
        assert options.corrections == wanted / "corrections.jsonl"
    (photos / ".hidden").mkdir()
    assert not has_subfolders(photos)
    (photos / "more").mkdir()
    assert has_subfolders(photos)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "elsewhere.example"}, 403),
        ({"Host": "127.0.0.1.elsewhere.example:80"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_other_sites_and_other_names_of_this_machine_are_refused(
    desk: Served, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=60)
    connection.request("GET", "/desk/changes", headers=headers)
    answer = connection.getresponse()
    assert answer.status == status
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_itself_may_be_opened_by_a_link(desk: Served) -> None:
    assert desk.status("/", Sec_Fetch_Site="cross-site") == 200


def test_no_file_but_the_pages_own_is_served(desk: Served) -> None:
    paths = (
        *("/page/../desk.py", "/page/%2e%2e/desk.py", "/page//etc/hostname", "/samples/../app.py"),
        *("/captions.sqlite", "/desk/photos/999999", "/desk/photos/1/picture/huge", "/docs"),
    )
    for path in paths:
        assert desk.status(path) == 404, path


def test_large_requests_are_refused_before_they_are_received(desk: Served) -> None:
    for path, length in (("/desk/undo", 2_000_000), ("/api/caption", 300_000_000)):
        connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=60)
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        assert connection.getresponse().status == 413
    connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=60)
    connection.request("POST", "/desk/undo", iter([b"{}"]), encode_chunked=True)
    assert connection.getresponse().status == 411


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/desk/undo", b"no JSON"),
        ("/desk/undo", b"[" * 100_000),
        ("/desk/undo", b"[]"),
        ("/desk/undo", {"client": 1}),
        ("/desk/look", {"numbers": [True]}),
        ("/desk/look", {"numbers": "1"}),
        ("/desk/photos/1", {"state": "approved"}),
        ("/desk/photos", b"--x\r\n"),
    ],
)
def test_broken_requests_are_refused_with_a_sentence(desk: Served, path: str, body: object) -> None:
    assert desk.status(path, body) == 400


def test_decisions_that_cannot_be_kept_are_refused(desk: Served) -> None:
    number = desk.rows()[1]["number"]
    before = desk.ask(f"/desk/photos/{number}")
    body = {"caption": "a", "revision": 1, "client": "c", "person": ""}
    assert desk.status(f"/desk/photos/{number}", {**body, "state": "perfect"}) == 422
    assert desk.status(f"/desk/photos/{number}", {**body, "state": "edited", "caption": " "}) == 422
    long = {**body, "state": "edited", "caption": "a" * 1001}
    assert desk.status(f"/desk/photos/{number}", long) == 422
    half = {**body, "state": "edited", "caption": "\ud800"}
    assert desk.status(f"/desk/photos/{number}", half) == 400
    assert desk.status("/desk/photos/424242", {**body, "state": "edited"}) == 404
    assert desk.ask(f"/desk/photos/{number}") == before


def test_a_photo_that_cannot_be_read_says_why_and_holds_nothing_up(desk: Served) -> None:
    rows = {row["name"]: row for row in desk.rows()}
    assert rows["broken.jpg"]["error"] == "not an image of a supported format"
    assert all(row["said"] for name, row in rows.items() if name != "broken.jpg")
    number = rows["broken.jpg"]["number"]
    assert desk.status(f"/desk/photos/{number}/picture/small") == 422
    assert desk.status(f"/desk/photos/{number}/words?caption=a") == 422


def test_captions_words_and_continuations_are_the_models(desk: Served) -> None:
    row = desk.rows()[2]
    number = row["number"]
    details = desk.ask(f"/desk/photos/{number}")
    assert details["best"][0]["caption"] == row["said"] and len(details["best"]) == 5
    first, second, *_ = row["said"].split()
    words = desk.ask(f"/desk/photos/{number}/words?caption={first}%20{second}")
    assert [word["word"] for word in words] == [first, second]
    assert all(max(map(max, word["weights"])) == 1 and word["where"] for word in words)
    other = next(o["word"] for o in words[1]["others"] if o["word"] != second)
    found = desk.ask(f"/desk/photos/{number}/continuations?prefix=My%20{other}")
    assert found and all(one["caption"].startswith(f"My {other}") for one in found)
    assert desk.status(f"/desk/photos/{number}/continuations?prefix={'dog%20' * 99}") == 422
    for size, most in (("small", 192), ("large", 1280)):
        picture = Image.open(io.BytesIO(desk.raw(f"/desk/photos/{number}/picture/{size}")))
        assert max(picture.size) <= most and not picture.getexif()


def test_what_is_looked_at_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "photos"
    make_photos(folder, 14)
    order: list[str] = []
    looked = threading.Event()
    keep = background.Project.keep_model_says

    def noted(project: background.Project, found: list, model: str) -> None:
        assert looked.wait(60)  # the first batch may be on its way before anybody looks
        keep(project, found, model)
        order.extend(said.photo for said in found)

    monkeypatch.setattr(background.Project, "keep_model_says", noted)
    with served(folder, tmp_path / "p.sqlite") as desk:
        last = desk.rows()[-1]["number"]
        desk.ask("/desk/look", {"numbers": [last]})
        looked.set()
        desk.captioned()
        assert desk.desk.project.row(last)["photo"] in order[:8]
        progress = desk.ask("/desk/changes?since=0")["progress"]
        assert (progress["done"], progress["total"]) == (14, 14)


def test_photos_that_come_go_or_are_renamed_while_the_desk_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "PAUSE", 0.1)
    folder = tmp_path / "photos"
    make_photos(folder, 3)
    with served(folder, tmp_path / "p.sqlite") as desk:
        first, second, third = desk.captioned()
        desk.decide(first["number"], "edited", "a red boat")
        (folder / "photo 000.jpg").rename(folder / "renamed.jpg")
        (folder / "photo 001.jpg").unlink()
        (folder / "photo 002.jpg").write_bytes(CAT.read_bytes())
        (folder / "new.jpg").write_bytes((ROOT / "samples" / "coffee.jpg").read_bytes())

        def now() -> dict[str, dict]:
            return {row["name"]: row for row in desk.rows() if row["said"]}

        until(lambda: set(now()) == {"renamed.jpg", "photo 002.jpg", "new.jpg"}, 60)
        until(lambda: now()["photo 002.jpg"]["photo"] != third["photo"])
        rows = now()
        assert rows["renamed.jpg"]["caption"] == "a red boat"
        assert rows["renamed.jpg"]["number"] == first["number"]
        assert rows["photo 002.jpg"]["number"] == third["number"], "the same file, another photo"
        assert "cat" in rows["photo 002.jpg"]["said"] or rows["photo 002.jpg"]["unlike"]
        assert desk.status(f"/desk/photos/{second['number']}") == 404
        # A folder that can't be read any more is told once, and takes nothing along.
        folder.rename(tmp_path / "away")
        until(lambda: "photos" in desk.ask("/desk/changes")["notice"])
        assert set(now()) == set(rows)
        (tmp_path / "away").rename(folder)
        desk.decide(rows["new.jpg"]["number"], "decorative")


def test_a_browser_keeps_a_picture_by_the_photos_content(desk: Served) -> None:
    row = desk.rows()[2]

    def kept(query: str) -> str:
        address = f"{desk.url}/desk/photos/{row['number']}/picture/small{query}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.headers["cache-control"]

    assert "immutable" in kept(f"?of={row['photo']}")
    assert kept("") == kept("?of=another") == "no-store"


def test_dropped_photos_are_kept_once_in_a_private_folder(empty: Served) -> None:
    content = CAT.read_bytes()
    body, kind = form(("../../cat.jpg", content), ("b.txt", b"no photo"), (".x", content))
    found = empty.ask("/desk/photos", body, Content_Type=kind)
    assert len(found["numbers"]) == 1, "the same photo dropped twice is there once"
    assert found["refused"] == ["b.txt was refused: not an image of a supported format."]
    folder = empty.desk.folders.dropped
    assert [path.name for path in folder.iterdir()] == ["cat.jpg"]
    assert folder.stat().st_mode & 0o077 == 0
    (row,) = empty.captioned()
    assert row["name"] == "cat.jpg" and row["said"] and row["unlike"]
    empty.ask(f"/desk/photos/{row['number']}", {}, "DELETE")
    assert not list(folder.iterdir()) and empty.rows() == []


def test_large_photos_are_refused(empty: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_PIXELS", 10_000)
    body, kind = form(("cat.jpg", CAT.read_bytes()))
    found = empty.ask("/desk/photos", body, Content_Type=kind)
    assert found["numbers"] == [] and "pixels" in found["refused"][0]
    monkeypatch.setattr(photos, "MAX_BYTES", 1000)
    found = empty.ask("/desk/photos", body, Content_Type=kind)
    assert "the most is" in found["refused"][0]
    assert not list(empty.desk.folders.dropped.iterdir())


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    make_photos(tmp_path / "inner", 2)
    folders = photos.PhotoFolders(tmp_path, False, tmp_path / "none")
    with pytest.raises(CaptioningError, match="subfolders hold 2, which --recursive finds"):
        list(folders.files())
    found = photos.PhotoFolders(tmp_path, True, tmp_path / "none").files()
    assert [file.path.parent.name for file in found] == ["inner", "inner"]


def test_a_photo_of_the_users_folder_is_never_deleted(desk: Served) -> None:
    row = desk.rows()[3]
    assert desk.status(f"/desk/photos/{row['number']}", {}, "DELETE") == 404
    assert (desk.desk.folders.folder / row["name"]).is_file()


def test_tables_tell_what_a_person_approved(desk: Served) -> None:
    rows = desk.rows()
    first, second, third = (row for row in rows if row["said"] and row["state"] == "todo"), 0, 0
    first, second, third = list(first)[:3]
    desk.decide(first["number"], "approved", first["said"], person="Ann")
    desk.decide(second["number"], "edited", "=SUM(1)")
    desk.decide(third["number"], "decorative")
    text = desk.raw("/desk/out/csv?which=all").decode("utf-8-sig")
    found = {row["image"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(found) == 11
    assert found[first["name"]]["approved"] == "yes" and found[first["name"]]["person"] == "Ann"
    assert found[second["name"]]["alt_text"] == "'=SUM(1)", "no cell is a formula"
    assert found[second["name"]]["model_caption"] == second["said"]
    assert found[third["name"]]["alt_text"] == "" and found[third["name"]]["state"] == "decorative"
    assert sum(row["approved"] == "yes" for row in found.values()) == 3
    lines = desk.raw("/desk/out/jsonl?which=approved").decode().splitlines()
    by_name = {row["image"]: row for row in map(json.loads, lines)}
    assert set(by_name) == {first["name"], second["name"], third["name"]}
    assert by_name[second["name"]]["caption"] == "=SUM(1)"
    assert len(by_name[first["name"]]["captions"]) == 5
    assert by_name[first["name"]]["score"] == pytest.approx(first["score"], abs=1e-4)
    with zipfile.ZipFile(io.BytesIO(desk.raw("/desk/out/sidecars?which=approved"))) as archive:
        assert archive.read(f"{first['name']}.txt").decode() == f"{first['said']}\n"
        assert len(archive.namelist()) == 3
    file = desk.desk.settings.corrections
    until(lambda: file.exists() and "=SUM(1)" in file.read_text(encoding="utf-8"))
    corrected = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    assert [row["caption"] for row in corrected] == ["=SUM(1)"]
    for _ in range(3):
        desk.ask("/desk/undo", {"client": "c"})


def test_files_beside_the_photos_are_written_on_request_alone(tmp_path: Path) -> None:
    pyexiv2 = pytest.importorskip("pyexiv2")
    folder = tmp_path / "photos"
    make_photos(folder, 2)
    with served(folder, tmp_path / "p.sqlite") as desk:
        first, second = desk.captioned()
        desk.decide(first["number"], "edited", "a café")
        ask = {"which": "approved", "replace": False}
        assert [one["kind"] for one in desk.ask("/desk/about")["writes"]][0] == "sidecars"
        desk.ask("/desk/out/sidecars", ask)
        names = {path.name for path in folder.iterdir()}
        assert names == {first["name"], second["name"], f"{first['name']}.txt"}
        sidecar = folder / f"{first['name']}.txt"
        assert sidecar.read_text(encoding="utf-8") == "a café\n"
        sidecar.write_text("mine")
        assert "1 of these files exist" in desk.ask("/desk/out/sidecars", ask)["question"]
        assert sidecar.read_text() == "mine"
        desk.ask("/desk/out/sidecars", {**ask, "replace": True})
        assert sidecar.read_text(encoding="utf-8") == "a café\n"
        original = (folder / first["name"]).read_bytes()
        desk.ask("/desk/out/copies", ask)
        copy = tmp_path / "photos-captioned" / first["name"]
        with pyexiv2.ImageData(copy.read_bytes()) as found:
            assert "a café" in str(found.read_xmp()["Xmp.dc.description"])
        assert (folder / first["name"]).read_bytes() == original


def test_captions_go_into_the_photos_themselves_when_that_is_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyexiv2 = pytest.importorskip("pyexiv2")
    monkeypatch.setattr(folder_watch, "PAUSE", 999)  # it would find the file that is changed below
    folder, project = tmp_path / "photos", tmp_path / "p.sqlite"
    make_photos(folder, 3)
    (folder / "twice.jpg").write_bytes((folder / "photo 000.jpg").read_bytes())
    (folder / "photo 001.jpg").chmod(0o640)
    ask = {"which": "approved", "replace": False}
    with served(folder, project) as desk:
        rows = {row["name"]: row for row in desk.captioned()}
        for name, caption in (("photo 000.jpg", "a café"), ("photo 001.jpg", "a door")):
            desk.decide(rows[name]["number"], "edited", caption)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert "changes 3 photo files" in desk.ask("/desk/out/photos", ask)["question"]
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        said = desk.ask("/desk/out/photos", {**ask, "replace": True})["sentence"]
        assert said == "3 photos carry their captions."
        assert {path.name for path in folder.iterdir()} == set(before), "no file is left beside"
        for name in ("photo 000.jpg", "twice.jpg"):
            content = (folder / name).read_bytes()
            with pyexiv2.ImageData(content) as found:
                assert "a café" in str(found.read_xmp()["Xmp.dc.description"])
            pixels = [Image.open(io.BytesIO(each)).tobytes() for each in (content, before[name])]
            assert pixels[0] == pixels[1]
        assert (folder / "photo 001.jpg").stat().st_mode & 0o777 == 0o640
        assert (folder / "photo 002.jpg").read_bytes() == before["photo 002.jpg"]
        assert desk.ask("/desk/undo", {"client": "c"})["row"]["name"] == "photo 001.jpg"
        desk.decide(rows["photo 001.jpg"]["number"], "edited", "a door")
        desk.ask("/desk/out/photos", {**ask, "replace": True})
        (folder / "photo 001.jpg").write_bytes(before["photo 001.jpg"])
        left = desk.ask("/desk/out/photos", {**ask, "replace": True})["sentence"]
        assert "photo 001.jpg was left out: its file has changed" in left
    (folder / "twice.jpg").rename(folder / "new name.jpg")
    with served(folder, project) as desk:
        found = {row["name"]: row["caption"] for row in desk.captioned() if not row["gone"]}
        assert found["photo 000.jpg"] == "a café"
        assert len(found) == 3, "the copy is still one"


def test_a_kill_while_a_caption_is_written_into_a_photo_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyexiv2")
    folder, project = tmp_path / "photos", tmp_path / "p.sqlite"
    make_photos(folder, 1)
    with served(folder, project) as desk:
        (row,) = desk.captioned()
        desk.decide(row["number"], "edited", "my words")
        monkeypatch.setattr(background.Project, "replaced", lambda *given: None)  # it never came
        desk.ask("/desk/out/photos", {"which": "approved", "replace": True})
    with served(folder, project) as desk:
        (row,) = desk.captioned()
        assert (row["state"], row["caption"]) == ("edited", "my words")


def test_elsewhere_only_with_the_token(tmp_path: Path) -> None:
    with served(None, tmp_path / "p.sqlite", token=SECRET) as desk:
        for path in ("/", "/desk/changes", "/openapi.json", "/page/main.js", "/?token=wrong"):
            assert desk.status(path) == 401, path
        assert desk.status("/desk/changes", Authorization="Bearer wrong") == 401
        assert desk.status("/desk/changes", Authorization=f"Bearer {SECRET}") == 200
        assert desk.status("/desk/changes?token=" + SECRET) == 401, "only opening the page sets it"
        connection = http.client.HTTPConnection("127.0.0.1", desk.port, timeout=60)
        connection.request("GET", f"/?token={SECRET}", headers={"Host": "photos.example"})
        answer = connection.getresponse()
        cookie = answer.headers["set-cookie"]
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert desk.status("/desk/changes", Cookie=cookie.split(";")[0]) == 200
        body, kind = form(("cat.jpg", CAT.read_bytes()))
        assert desk.status("/api/caption", body, Content_Type=kind) == 401


def test_programs_get_rows_as_in_jsonl(desk: Served) -> None:
    body, kind = form(("cät.jpg", CAT.read_bytes()), ("b.jpg", b"no photo"))
    first, second = desk.ask("/api/caption?top=3", body, Content_Type=kind)
    assert first["image"] == "cät.jpg" and first["familiar"] < 0.02
    assert [one["caption"] for one in first["captions"]][0] == first["caption"]
    assert len(first["captions"]) == 3
    assert second == {"image": "b.jpg", "error": "not an image of a supported format"}
    wanted, _ = captioner().caption([captioner().pixels(Image.open(CAT).convert("RGB"))])[0]
    assert first["caption"] == wanted[0][0]
    (alone,) = desk.ask(
        "/api/caption", body[: body.index(b"--xyz", 5)] + b"--xyz--\r\n", Content_Type=kind
    )
    assert set(alone) == {"image", "caption", "score", "familiar"}
    assert not [row for row in desk.rows() if row["name"] == "cät.jpg"], "nothing is kept of it"


@pytest.mark.parametrize(
    ("query", "content", "kind", "status"),
    [
        ("?top=0", None, None, 422),
        ("?top=21", None, None, 422),
        ("?top=x", None, None, 422),
        ("?top=1&top=2", None, None, 422),
        ("?Top=5", None, None, 422),
        ("", b"{}", "application/json", 415),
        ("", b"--xyz--\r\n", "multipart/form-data; boundary=xyz", 400),
        ("", b"", "multipart/form-data", 400),
        ("", form(("a.jpg", b"x"))[0], "multipart/form-data; boundary=xyz", 200),
        ("", form(*[("a.jpg", b"x")] * 33)[0], "multipart/form-data; boundary=xyz", 422),
    ],
)
def test_programs_are_told_what_was_wrong(
    desk: Served, query: str, content: bytes | None, kind: str | None, status: int
) -> None:
    if content is None:
        content, kind = form(("cat.jpg", CAT.read_bytes()))
    assert desk.status(f"/api/caption{query}", content, Content_Type=kind) == status


def test_the_example_client_of_the_docs_works(
    desk: Served, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "app.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert len(code.splitlines()) <= 10
    monkeypatch.chdir(ROOT)
    exec(compile(code.replace("http://127.0.0.1:7860", desk.url), "client", "exec"), {})
    assert "sitting" in capsys.readouterr().out


def fuzz(examples: int) -> None:
    """Requests made of the description, and others that break it, to the application itself."""
    import hypothesis
    import schemathesis
    from starlette.applications import Starlette

    from captioning.app.program_routes import program_routes
    from captioning.app.server import refuse_with_json

    app = Starlette(routes=program_routes(captioner(), "0"), exception_handlers=refuse_with_json())
    operation = schemathesis.openapi.from_asgi("/openapi.json", app)["/api/caption"]["POST"]
    made_up = hypothesis.strategies.one_of(
        *(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)
    )

    @hypothesis.given(case=made_up)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def check(case: schemathesis.Case) -> None:
        fields = case.body if isinstance(case.body, dict) else {}
        # A field with an empty list is not in the form that is sent: nothing can be refused.
        hypothesis.assume(all(fields[name] not in ([], {}) for name in fields if name != "photo"))
        asked.append(case.call_and_validate().status_code)

    asked: list[int] = []
    check()
    print({status: asked.count(status) for status in sorted(set(asked))})
    assert len(asked) >= examples and {200, 422} < set(asked)


def test_the_description_is_true_of_a_few_made_up_requests() -> None:
    fuzz(25)


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)  # seconds: photos are captioned for it
def test_the_description_is_true_of_many_made_up_requests() -> None:
    fuzz(2000)


def test_learning_says_what_it_lacks(desk: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(what: str) -> str:
        with pytest.raises(urllib.error.HTTPError) as told:
            desk.ask("/desk/learning", {"do": what})
        return json.loads(told.value.read())["error"]

    assert refusal("start") == "0 captions are corrected; 20 are the fewest to train on."
    assert desk.ask("/desk/learning")["hindrance"] == refusal("start")
    assert refusal("keep") == refusal("discard") == "there is no new model"
    assert refusal("dance") == "do is one of start, keep, discard"
    monkeypatch.setattr(learning, "find_spec", lambda name: None)
    assert refusal("start") == "Training needs more packages: pip ..."


def test_a_trained_model_waits_for_a_decision_also_after_a_restart(tmp_path: Path) -> None:
    project, pair = tmp_path / "p.sqlite", {"number": 1, "before": "a", "after": "b"}
    left = tmp_path / ".p-learning"
    new = left / "model"
    new.mkdir(parents=True)
    for name in ("captioner.json", "model.keras"):
        (new / name).write_text(name)
    (left / learning.RESULT).write_text(json.dumps([pair]))
    with served(None, project) as desk:
        about = desk.ask("/desk/learning")
        assert about["state"] == "done" and about["pairs"] == [pair]
        sentence = desk.ask("/desk/learning", {"do": "keep"})["sentence"]
        (kept,) = (tmp_path / "models").iterdir()
        assert f"--model {kept}" in sentence
        assert sorted(path.name for path in kept.iterdir()) == ["captioner.json", "model.keras"]
        assert not left.exists()
        # A training that was cut short leaves copies of photos: they go.
        (left / "photos").mkdir(parents=True)
    with served(None, project) as desk:
        assert desk.ask("/desk/learning")["state"] == "none" and not left.exists()


def test_photos_that_a_model_was_not_trained_on_are_shown_first() -> None:
    def row(number: int, state: str) -> dict:
        caption = "mine" if state in ("edited", "approved") else None
        more = {"path": Path("a.jpg"), "present": 1, "copy_of": None, "best": [["a cat", -1]]}
        return {
            "number": number,
            "photo": f"{number:08x}",
            "state": state,
            "caption": caption,
            **more,
        }

    rows = [row(number, "edited") for number in range(1, 13)]
    rows += [row(20, "todo"), row(21, "approved"), row(22, "skipped")]
    held_back = learning.held_back_of(learning.corrected(rows))
    assert held_back == {5, 10}
    shown = learning.to_show(rows, held_back)
    assert [row["number"] for row in shown] == [5, 10, 21, 20, 1, 2, 3, 4, 6, 7]
    pairs = [learning.pair_of(row, "a dog", held_back) for row in shown]
    assert [pair["learned"] for pair in pairs] == [False] * 4 + [True] * 6
    assert pairs[0]["person"] == pairs[2]["person"] == "mine" and pairs[3]["person"] == ""
    assert learning.held_back_of(rows[:1]) == {1}, "without any no epoch could be chosen"


@pytest.mark.nightly
def test_learning_shows_captions_before_and_after_and_keeps_a_model_when_asked(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "photos"
    make_photos(folder, 24)
    with served(folder, tmp_path / "p.sqlite") as desk:
        for row in desk.captioned():
            desk.decide(row["number"], "edited", "a zebra on the grass")
        desk.ask("/desk/learning", {"do": "start"})
        until(lambda: desk.ask("/desk/learning")["state"] != "running", 900)
        about = desk.ask("/desk/learning")
        assert about["state"] == "done", about["sentence"]
        assert len(about["pairs"]) == 10
        said = {row["said"] for row in desk.rows()}
        assert all(pair["before"] in said and pair["after"] for pair in about["pairs"])
        assert not (tmp_path / "models").exists(), "nothing is kept before it is asked for"
        assert "Kept." in desk.ask("/desk/learning", {"do": "keep"})["sentence"]
        (model,) = (tmp_path / "models").iterdir()
        assert (model / "captioner.json").is_file()
        assert not (tmp_path / ".p-learning").exists()
