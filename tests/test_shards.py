"""Shards in, shards out: what is read, what is written, and what of it survives."""

import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from captioning.errors import CaptioningError
from captioning.shards import processes
from captioning.shards.inputs import Cut, Input, read_input
from captioning.shards.run import Share, Summary, run_shards
from captioning.shards.shard import DamagedError, photos_of
from captioning.shards.work import Job
from tests.shard_tasks import DigestTask, NoMemoryTask

NAMES = [f"{number:03d}.jpg" for number in range(100)]


def content_of(name: str) -> bytes:
    """The bytes of a made-up photo."""
    return f"photo {name}".encode() * 50


def write_tar(path: Path, names: list[str]) -> Path:
    """A shard as webdataset writes them, with a text beside each photo."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name in names:
            for member, raw in ((name, content_of(name)), (f"{name[:-4]}.txt", b"a caption")):
                info = tarfile.TarInfo(member)
                info.size = len(raw)
                archive.addfile(info, io.BytesIO(raw))
    return path


def write_folder(folder: Path, names: list[str]) -> Path:
    """A folder of photos, half of them in one below."""
    (folder / "below").mkdir(parents=True)
    for place, name in enumerate(names):
        (folder / ("below" if place % 2 else "") / name).write_bytes(content_of(name))
    return folder


def write_table(path: Path, /, **columns: list) -> Path:
    """A Parquet table with several groups of rows."""
    path.parent.mkdir(exist_ok=True, parents=True)
    parquet.write_table(pyarrow.table(columns), path, row_group_size=30)
    return path


def one_by_one(work: Callable, shards: list) -> object:
    """The distributor without any process but this one."""
    return map(work, shards)


def two_processes(work: Callable, shards: list) -> object:
    """The distributor of processes."""
    return processes.distribute(work, shards, 2)


def nothing_is_missing(work: Callable, shards: list) -> object:
    """A distributor that must not be called."""
    raise AssertionError(shards)


def do(
    source: Input,
    output: Path,
    distribute: Callable = one_by_one,
    task: DigestTask | None = None,
    share: Share | None = None,
    tries: int = 2,
) -> Summary:
    """Run the shards."""
    job = Job(task or DigestTask(), str(output), tries=tries)
    return run_shards(job, source, distribute, share or Share())


def rows_of(output: Path) -> dict[str, dict]:
    """{key: row} of all shards; no key twice."""
    rows = [
        json.loads(line)
        for path in sorted(output.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: row for row in rows}


def results_of(output: Path) -> dict[str, bytes]:
    """The files of an output but those that tell seconds."""
    return {
        path.name: path.read_bytes()
        for path in output.iterdir()
        if not path.name.endswith(("_stats.json", ".lock"))
    }


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    """Four tar shards."""
    folder = tmp_path / "tars"
    for number in range(4):
        write_tar(folder / f"train-{number}.tar", NAMES[number * 25 : (number + 1) * 25])
    return folder


def read(place: Path | str, **cut: object) -> Input:
    """The input, in shards of 30 photos."""
    return read_input(str(place), Cut(30, **cut))


def test_a_folder_a_list_tars_and_tables_are_the_same_photos(tmp_path: Path, tars: Path) -> None:
    folder = write_folder(tmp_path / "photos", NAMES)
    keys = {f"below/{name}" if place % 2 else name: name for place, name in enumerate(NAMES)}
    (folder / "list.txt").write_text("\n".join(keys) + "\n")
    contents = [content_of(name) for name in NAMES]
    paths = [str(folder / key) for key in keys]
    structs = [{"path": n, "bytes": c} for n, c in zip(NAMES, contents, strict=True)]
    tables = tmp_path / "tables"
    inputs = {
        "folder": (read(folder), keys),
        "list": (read(folder / "list.txt"), keys),
        "url": (read(f"file://{folder}/list.txt"), keys),
        "tars": (read(tars), {name: name for name in NAMES}),
        "pattern": (read(tars / "train-*.tar"), {name: name for name in NAMES}),
        "paths": (
            read(write_table(tables / "paths.parquet", path=paths)),
            dict(zip(paths, NAMES, strict=True)),
        ),
        "bytes": (
            read(write_table(tables / "bytes.parquet", jpg=contents)),
            {f"bytes-{n + 1:06d}": name for n, name in enumerate(NAMES)},
        ),
        "structs": (
            read(write_table(tables / "structs.parquet", image=structs)),
            {name: name for name in NAMES},
        ),
        "keyed": (
            read(write_table(tables / "keyed.parquet", photo=contents, key=NAMES)),
            {name: name for name in NAMES},
        ),
    }
    for what, (source, expected) in inputs.items():
        summary = do(source, tmp_path / what)
        assert (summary.photos, summary.failed, summary.is_whole) == (100, 0, True), what
        found = {key: row["caption"] for key, row in rows_of(tmp_path / what).items()}
        wanted = {key: sha256(content_of(name)).hexdigest() for key, name in expected.items()}
        assert found == wanted, what
        assert len(source.shards) == 4, what


def test_tables_beside_tars_tell_of_the_tars(tars: Path) -> None:
    write_table(tars / "train-0.parquet", key=["000"])  # as img2dataset writes them
    assert [shard.kind for shard in read(tars).shards] == ["tar"] * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "there is no input"),
        (lambda folder: folder.mkdir() or folder, "holds no tar shards"),
        (
            lambda folder: (
                write_tar(folder / "a.tar", NAMES).with_name("photo.jpg").touch() or folder
            ),
            "mixed kinds: 1 tar shards, 1 photos",
        ),
        (
            lambda folder: write_table(folder / "a.parquet", path=["a.jpg", "b.jpg", "a.jpg"]),
            "1 keys occur more than once in .*'a.jpg'",
        ),
        (lambda folder: write_table(folder / "a.parquet", text=["a"]), "no column of photos"),
        (
            lambda folder: (
                write_folder(folder, NAMES)
                and (folder / "list.txt").write_text("000.jpg\n000.jpg\n")
                and folder / "list.txt"
            ),
            "1 keys occur more than once",
        ),
        (
            lambda folder: (
                folder.mkdir()
                or ((folder / "list.txt").write_text("nowhere.jpg\n") and folder / "list.txt")
            ),
            "line 1: there is no file",
        ),
    ],
)
def test_inputs_that_cannot_be(tmp_path: Path, make: Callable, message: str) -> None:
    with pytest.raises(CaptioningError, match=message):
        read(make(tmp_path / "input"))


def test_two_processes_do_what_one_does_to_the_byte(tmp_path: Path, tars: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    do(read(tars), one)
    summary = do(read(tars), two, two_processes)
    assert (summary.photos, summary.done) == (100, 4)
    assert results_of(one) == results_of(two)
    assert sorted(results_of(two)) == ["_run.json", *(f"train-{n}.jsonl" for n in range(4))]
    stats = json.loads((two / "train-0_stats.json").read_text())
    assert (stats["photos"], stats["failed"], stats["model"]) == (25, 0, "one")
    assert stats["seconds"] >= 0 and stats["versions"]["numpy"]


def test_shares_of_a_job_array_together_are_the_whole(tmp_path: Path, tars: Path) -> None:
    one, parts = tmp_path / "one", tmp_path / "parts"
    do(read(tars), one)
    photos = [do(read(tars), parts, share=Share(index, 3)).photos for index in range(3)]
    assert photos == [50, 25, 25]
    assert results_of(one) == results_of(parts)


def test_the_same_run_again_does_what_is_missing_and_nothing_else(
    tmp_path: Path, tars: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "out"
    do(read(tars), output)
    before = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    (output / "train-2_stats.json").unlink()
    write_tar(tars / "train-4.tar", ["more.jpg"])
    assert do(read(tars), output).photos == 101
    assert "3 of 5 shards are done already" in capsys.readouterr().err
    after = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    changed = {path.name for path in after if after[path] != before.get(path)}
    redone = {f"train-{n}{end}" for n in (2, 4) for end in (".jsonl", "_stats.json")}
    assert changed == {*redone, "_run.json"}


def test_another_model_other_settings_or_photos_are_refused(tmp_path: Path, tars: Path) -> None:
    output, folder = tmp_path / "out", write_folder(tmp_path / "photos", NAMES)
    do(read(tars), output)
    before = results_of(output)
    with pytest.raises(CaptioningError, match="settings differ: model was one, now it is two"):
        do(read(tars), output, task=DigestTask("two"))
    with pytest.raises(CaptioningError, match="its input was"):
        do(read(folder), output)
    assert results_of(output) == before
    do(read(folder), tmp_path / "other")
    (folder / "more.jpg").write_bytes(b"more")
    with pytest.raises(CaptioningError, match="list of photos"):
        do(read(folder), tmp_path / "other")


def test_an_output_may_hold_other_files_but_no_results_of_who_knows_what(
    tmp_path: Path, tars: Path
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "notes").write_text("of mine")
    assert do(read(tars), output).is_whole
    (output / "_run.json").unlink()
    with pytest.raises(CaptioningError, match="out holds train-0.jsonl, but no _run.json"):
        do(read(tars), output)


def test_a_shard_that_is_half_there_is_told_and_done_again_when_it_is_whole(
    tmp_path: Path, tars: Path, capsys: pytest.CaptureFixture
) -> None:
    half, whole = tars / "train-1.tar", (tars / "train-1.tar").read_bytes()
    half.write_bytes(whole[: len(whole) // 3])
    (tars / "train-3.tar").write_bytes(b"no tar at all" * 100)
    output = tmp_path / "out"
    for _ in range(2):  # the second time it's told again, and not read again
        summary = do(read(tars), output, two_processes)
        assert summary.damaged == 2 and not summary.is_whole
        messages = capsys.readouterr().err
        assert "shard train-1 after" in messages and "shard train-3 after 0 photos" in messages
        assert 50 < summary.photos < 75
    half.write_bytes(whole)
    write_tar(tars / "train-3.tar", NAMES[75:])
    assert do(read(tars), output).is_whole
    assert sorted(rows_of(output)) == NAMES


@pytest.mark.parametrize("size", [0, 512, 1500, 4608])
def test_wherever_a_tar_is_cut_off_it_shows(tmp_path: Path, size: int) -> None:
    path = write_tar(tmp_path / "a.tar", NAMES[:4])
    path.write_bytes(path.read_bytes()[:size])
    (shard,) = read(path).shards
    with pytest.raises(DamagedError):
        list(photos_of(shard))


def test_a_damaged_table_and_a_key_twice_in_a_tar(tmp_path: Path) -> None:
    tables = write_table(tmp_path / "tables" / "a.parquet", path=NAMES).parent
    table = write_table(tables / "b.parquet", jpg=[content_of(name) for name in NAMES])
    table.write_bytes(table.read_bytes()[:-500])
    summary = do(read(tables), tmp_path / "out")
    assert (summary.photos, summary.failed, summary.damaged) == (100, 100, 1)
    write_tar(tmp_path / "twice" / "a.tar", ["1.jpg", "1.jpg"])
    summary = do(read(tmp_path / "twice"), tmp_path / "twice-out")
    assert (summary.done, summary.remaining) == (0, 1)


@pytest.mark.parametrize("distribute", [two_processes])
def test_a_photo_that_brings_workers_down_is_named_and_skipped(
    tmp_path: Path, distribute: Callable, capsys: pytest.CaptureFixture
) -> None:
    names = [*NAMES[:40], "deadly.jpg", *NAMES[40:60]]
    write_tar(tmp_path / "tars" / "a.tar", names)
    write_tar(tmp_path / "tars" / "b.tar", NAMES[60:])
    summary = do(read(tmp_path / "tars"), tmp_path / "out", distribute, tries=2)
    assert (summary.photos, summary.failed, summary.done) == (101, 1, 2)
    assert "skipped deadly.jpg in shard a: it brought 2 workers down" in capsys.readouterr().err
    rows = rows_of(tmp_path / "out")
    assert [key for key, row in rows.items() if row["error"]] == ["deadly.jpg"]
    assert list(rows)[:61] == names
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.endswith(".part")]


def test_a_full_disk_ends_the_run_and_nothing_half_written_is_left(
    tmp_path: Path, tars: Path
) -> None:
    output = tmp_path / "out"
    with pytest.raises(CaptioningError, match="cannot write .*; run the same command again"):
        do(read(tars), output, two_processes, DigestTask(largest=2000))
    assert not list(output.glob("*.jsonl")) and not list(output.glob("*_stats.json"))
    assert do(read(tars), output).is_whole
    assert sorted(rows_of(output)) == NAMES


def test_a_model_that_cannot_be_loaded_is_told_once_a_shard(tmp_path: Path, tars: Path) -> None:
    summary = do(read(tars), tmp_path / "out", task=NoMemoryTask())
    assert (summary.done, summary.remaining) == (0, 4)


def test_elsewhere_by_fsspec(tmp_path: Path, tars: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("train-0.tar", "train-1.tar"):
        memory.pipe(f"/in/{name}", (tars / name).read_bytes())
    memory.pipe("/list/photos.txt", b"memory://photos/a.jpg\nnowhere.jpg\n")
    memory.pipe("/photos/a.jpg", content_of("a"))
    job = Job(DigestTask(), "memory://out")
    for place, photos, failed in (("memory://in", 50, 0), ("memory://list/photos.txt", 2, 1)):
        job = Job(DigestTask(), f"memory://out-{failed}")
        summary = run_shards(job, read(place), one_by_one, Share())
        assert (summary.photos, summary.failed) == (photos, failed)
        names = {path.rpartition("/")[2] for path in memory.ls(f"/out-{failed}", False)}
        assert "_run.json" in names and not [name for name in names if name.endswith(".part")]
        again = run_shards(job, read(place), nothing_is_missing, Share())
        assert again.photos == photos


def test_results_in_parquet(tmp_path: Path, tars: Path) -> None:
    (tars / "train-1.tar").write_bytes(b"")
    job = Job(DigestTask(), str(tmp_path / "out"), "parquet")
    run_shards(job, read(tars), one_by_one, Share())
    tables = [parquet.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert {table.schema for table in tables} == {tables[0].schema}
    assert tables[0].column_names == ["key", "caption", "score", "familiar", "error"]
    assert [len(table) for table in tables] == [25, 0, 25, 25]
