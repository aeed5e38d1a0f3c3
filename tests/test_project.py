"""The desk's project file: what people decided, kept through kills, renamings, two at a time."""

import json
import os
import random
import shutil
import signal
import sqlite3
import time
import urllib.request
from pathlib import Path

import pytest

from captioning.app.corrections import Correction, write_corrections
from captioning.app.decisions import Change
from captioning.app.project import ModelSays, PhotoFile, Project
from captioning.errors import CaptioningError
from tests.desks import process, until
from tests.sample_photos import make_photos


def file(name: str, modified: int = 1, size: int = 1) -> PhotoFile:
    return PhotoFile(Path(name), False, size, modified)


def opened(folder: Path, *names: str) -> tuple[Project, dict[str, int]]:
    """A project with these files, each of its own content; their numbers."""
    project = Project(folder / "p.sqlite")
    project.begin(map(file, names))
    numbers = {str(row["path"]): row["number"] for row in project.rows()}
    project.identify({number: f"content of {name}" for name, number in numbers.items()})
    return project, numbers


def change(state: str, caption: str, revision: int, client: str = "a") -> Change:
    return Change(state, caption, revision, client, client.upper())


def test_a_renamed_photo_keeps_its_work_and_a_changed_one_is_another(tmp_path: Path) -> None:
    project, numbers = opened(tmp_path, "a.jpg", "b.jpg")
    project.decisions.change(numbers["a.jpg"], change("edited", "a red boat", 99))
    project.close()
    project = Project(tmp_path / "p.sqlite")
    project.begin([file("renamed.jpg"), file("b.jpg", modified=2)])
    rows = {str(row["path"]): row for row in project.rows()}
    assert set(rows) == {"renamed.jpg", "b.jpg"}
    assert rows["b.jpg"]["photo"] is None, "its time is another: it must be read again"
    project.identify({rows["renamed.jpg"]["number"]: "content of a.jpg"})
    assert project.row(rows["renamed.jpg"]["number"])["caption"] == "a red boat"


def test_files_that_come_go_or_are_renamed_while_it_is_open(tmp_path: Path) -> None:
    project, numbers = opened(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    project.decisions.change(numbers["a.jpg"], change("edited", "a red boat", 99))
    there = [file("a.jpg"), file("b.jpg"), file("c.jpg")]
    before = project.revision
    assert not project.update(there) and project.revision == before, "nothing has changed"
    # The time of both that go is that of the one that comes: one of them is renamed.
    assert project.update([file("a.jpg"), file("d.jpg"), file("e.jpg", modified=7)])
    rows = {str(row["path"]): row for row in project.rows()}
    assert set(rows) == {"a.jpg", "d.jpg", "e.jpg"}
    assert rows["a.jpg"]["caption"] == "a red boat"
    assert rows["d.jpg"]["number"] == numbers["b.jpg"], "both could be it: the first is"
    assert rows["d.jpg"]["photo"] is None, "it is read again, as only its content tells"
    assert project.update([file("b.jpg", modified=7), file("a.jpg", size=2), file("d.jpg")])
    rows = {str(row["path"]): row for row in project.rows()}
    assert set(rows) == {"a.jpg", "b.jpg", "d.jpg"}
    assert rows["a.jpg"]["number"] == numbers["a.jpg"] and rows["a.jpg"]["photo"] is None
    project.identify({numbers["a.jpg"]: "content of a.jpg"})
    assert project.row(numbers["a.jpg"])["caption"] == "a red boat"
    told = {row["number"] for row in project.rows(before) if not row["present"]}
    assert told == {numbers["c.jpg"]}, "who has the page open hears of it"


@pytest.mark.parametrize("first_removed", [False, True])
def test_a_file_renamed_to_anothers_name_takes_its_place(
    tmp_path: Path, first_removed: bool
) -> None:
    project = Project(tmp_path / "desk.sqlite")
    there = [file("a.jpg"), file("b.jpg", size=2), file("c.jpg", size=3)]
    project.begin(there)
    numbers = {str(row["path"]): row["number"] for row in project.rows()}
    project.identify({number: f"content of {name}" for name, number in numbers.items()})
    seen = project.revision
    if first_removed:
        assert project.update([there[0], there[2]])
    assert project.update([there[0], file("b.jpg", size=3)])
    assert {str(r["path"]): r["number"] for r in project.rows()} == {
        "a.jpg": numbers["a.jpg"],
        "b.jpg": numbers["c.jpg"],
    }
    told = {row["number"] for row in project.rows(seen) if not row["present"]}
    assert told == {numbers["b.jpg"]}, "whoever has the page open hears of it"
    # The one that is gone can come again, by either name.
    assert project.update([there[0], file("b.jpg", size=3), file("c.jpg", size=2)])
    rows = {str(row["path"]): row for row in project.rows()}
    assert rows["c.jpg"]["number"] == numbers["b.jpg"] and rows["c.jpg"]["photo"] is None


def test_a_dropped_file_moved_into_the_folder_is_found_there(tmp_path: Path) -> None:
    project = Project(tmp_path / "p.sqlite")
    project.begin([PhotoFile(Path("a.jpg"), dropped=True, size=5, modified=1)])
    (row,) = project.rows()
    assert project.update([file("a.jpg", size=5)])
    (moved,) = project.rows()
    assert (moved["number"], moved["dropped"]) == (row["number"], 0)


def test_files_of_the_same_content_are_one_photo(tmp_path: Path) -> None:
    project, numbers = opened(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    project.identify({numbers["c.jpg"]: "content of a.jpg"})
    assert project.row(numbers["c.jpg"])["copy_of"] == numbers["a.jpg"]
    assert project.row(numbers["b.jpg"])["copy_of"] is None
    project.remove(numbers["a.jpg"])
    assert project.row(numbers["c.jpg"])["copy_of"] is None


def test_two_edits_at_the_same_time_are_both_kept(tmp_path: Path) -> None:
    project, numbers = opened(tmp_path, "a.jpg")
    number, seen = numbers["a.jpg"], project.revision
    project.decisions.change(number, change("edited", "a boat", seen, "ann"))
    row = project.decisions.change(number, change("edited", "a ship", seen, "bob"))
    assert row["caption"] == "a ship"
    assert row["rivals"] == [{"caption": "a boat", "person": "ANN"}]
    row = project.decisions.change(number, change("approved", "a boat", row["revision"], "ann"))
    assert (row["caption"], row["rivals"]) == ("a boat", [])
    # The same words are no two versions, nor are two thoughts of one person.
    seen = project.revision
    project.decisions.change(number, change("edited", "a raft", seen, "bob"))
    assert project.decisions.change(number, change("edited", "a raft", seen, "ann"))["rivals"] == []
    assert project.decisions.change(number, change("edited", "a tub", seen, "ann"))["rivals"] == []


def test_everything_can_be_undone_but_not_what_others_changed_since(tmp_path: Path) -> None:
    project, numbers = opened(tmp_path, "a.jpg", "b.jpg")
    for name, state, caption in (
        ("a.jpg", "edited", "one"),
        ("a.jpg", "approved", "two"),
        ("b.jpg", "decorative", ""),
    ):
        project.decisions.change(numbers[name], change(state, caption, project.revision))
    project.close()
    project = Project(tmp_path / "p.sqlite")  # also after a restart
    states = []
    for _ in range(3):
        row, _sentence = project.decisions.undo("a")
        states.append((str(row["path"]), row["state"], row["caption"]))
    assert states == [("b.jpg", "todo", None), ("a.jpg", "edited", "one"), ("a.jpg", "todo", None)]
    assert project.decisions.undo("a") == (None, "There is nothing to undo.")
    project.decisions.change(numbers["a.jpg"], change("edited", "mine", project.revision, "ann"))
    project.decisions.change(numbers["a.jpg"], change("edited", "yours", project.revision, "bob"))
    row, sentence = project.decisions.undo("ann")
    assert row is None and "BOB has changed that photo since" in sentence
    assert project.row(numbers["a.jpg"])["caption"] == "yours"


def test_only_what_changed_is_told(tmp_path: Path) -> None:
    project, numbers = opened(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    seen = project.revision
    project.keep_model_says([ModelSays("content of b.jpg", [("a cat", -1.0)], 0.5)], "m")
    assert [row["number"] for row in project.rows(seen)] == [numbers["b.jpg"]]
    assert project.rows(project.revision) == []
    assert project.uncaptioned("m") == [numbers["a.jpg"], numbers["c.jpg"]]
    assert len(project.uncaptioned("another model")) == 3
    project.decisions.change(numbers["b.jpg"], change("approved", "a cat", project.revision))
    assert len(project.uncaptioned("another model")) == 2, "what was decided stays"


def test_a_project_that_is_open_elsewhere_or_none_is_refused(tmp_path: Path) -> None:
    project, _ = opened(tmp_path, "a.jpg")
    with pytest.raises(CaptioningError, match="another desk has"):
        Project(tmp_path / "p.sqlite")
    project.close()
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to look at" * 30)
    with pytest.raises(CaptioningError, match="is no project"):
        Project(tmp_path / "text.sqlite")
    with pytest.raises(CaptioningError, match="cannot write"):
        Project(tmp_path / "none" / "p.sqlite")
    later = sqlite3.connect(tmp_path / "later.sqlite")
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(CaptioningError, match="version is 99"):
        Project(tmp_path / "later.sqlite")


def test_what_people_wrote_is_readable_by_this_user_alone(tmp_path: Path) -> None:
    project, _ = opened(tmp_path, "a.jpg")
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("p.sqlite*"))
    project.close()


def test_corrections_are_lines_that_training_reads(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    foreign = '{"image": "elsewhere.jpg", "caption": "theirs", "model_caption": "a"}'
    path.write_text(f"{foreign}\nno JSON\n", encoding="utf-8")
    first = [Correction("a.jpg", "Ein Hund läuft", "a dog"), Correction("b.jpg", "cats", "a cat")]
    write_corrections(path, first, {"a.jpg", "b.jpg"})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == [foreign, "no JSON"]
    assert [json.loads(line)["caption"] for line in lines[2:]] == ["Ein Hund läuft", "cats"]
    assert json.loads(lines[2])["model_caption"] == "a dog"
    assert json.loads(lines[2])["time"].endswith("+00:00")
    write_corrections(path, [Correction("b.jpg", "two cats", "a cat")], {"a.jpg", "b.jpg"})
    after = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["caption"] for line in after if line != "no JSON"] == [
        "theirs",
        "two cats",
    ]
    with pytest.raises(CaptioningError, match="cannot"):
        write_corrections(tmp_path, first)


def post(url: str, body: dict) -> dict:
    data = json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as answer:
        return json.loads(answer.read())


def decide_until_killed(folder: Path, wait: float, number: int) -> tuple[int, int]:
    """Edit one photo over and over, kill the desk after `wait` s: last answered and last sent."""
    with process(folder, cwd=folder.parent) as (server, url):
        rows = json.loads(urllib.request.urlopen(f"{url}/desk/changes", timeout=30).read())["rows"]
        place = rows[0]["number"]
        answered = sent = number
        end = time.monotonic() + wait
        while time.monotonic() < end:
            sent += 1
            body = {"state": "edited", "caption": f"caption {sent}", "revision": 1 << 40}
            post(f"{url}/desk/photos/{place}", {**body, "client": "c", "person": ""})
            answered = sent
        server.send_signal(signal.SIGKILL)
        server.wait()
    return answered, sent


def kept(folder: Path) -> int:
    """The number of the edit that the project file holds, which must be whole."""
    database = sqlite3.connect(folder / "captions.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = database.execute("SELECT caption FROM photos WHERE caption IS NOT NULL").fetchall()
    database.close()
    return int(found[0][0].removeprefix("caption ")) if found else 0


def kill_often(folder: Path, times: int) -> None:
    make_photos(folder, 6)
    random.seed(3)
    last = 0
    for _ in range(times):
        answered, sent = decide_until_killed(folder, random.uniform(0.05, 0.8), last)
        last = kept(folder)
        assert answered <= last <= sent, "an answered decision was lost"


def test_a_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    kill_often(folder, 2)
    # What was dropped or renamed in between is found again as well.
    first = sorted(folder.glob("*.jpg"))[0]
    caption = f"caption {kept(folder)}"
    first.rename(folder / "zz renamed.jpg")
    shutil.copy(folder / "zz renamed.jpg", folder / "aa copy.jpg")
    with process(folder, cwd=tmp_path) as (_, url):

        def captions() -> dict[str, str]:
            answer = urllib.request.urlopen(f"{url}/desk/changes", timeout=30).read()
            rows = json.loads(answer)["rows"]
            return {row["name"]: row["caption"] for row in rows if not row["gone"]}

        until(lambda: caption in captions().values())
        until(lambda: len(captions()) == 6)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.nightly
def test_thirty_kills_lose_nothing_that_was_answered(tmp_path: Path) -> None:
    kill_often(tmp_path / "photos", 30)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read all, and write all")
    tmp_path.chmod(0o500)
    with pytest.raises(CaptioningError, match="--project"):
        Project(tmp_path / "p.sqlite")
