"""Shards with real processes that are killed: workers, drivers, a node of a Ray cluster.

A few kills here; the many under the marker `nightly`: pytest -m nightly tests/test_shard_kills.py
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from captioning.errors import CaptioningError
from captioning.shards import ray_cluster, ray_tasks
from captioning.shards.run import Share, run_shards
from captioning.shards.work import Job
from tests.shard_tasks import DigestTask
from tests.test_shards import NAMES, do, read, results_of, rows_of, write_tar

ROOT = Path(__file__).parent.parent

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray then listens on 127.0.0.1 alone

DRIVER = """
from pathlib import Path
from tests.test_shards import do, read, two_processes
from tests.shard_tasks import DigestTask
if __name__ == "__main__":
    do(read({tars!r}), Path({output!r}), two_processes, DigestTask(seconds={seconds}))
"""


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    """Eight shards of 96 photos: six groups each."""
    for number in range(8):
        names = [f"{number}-{place:02d}.jpg" for place in range(96)]
        write_tar(tmp_path / "tars" / f"{number}.tar", names)
    return tmp_path / "tars"


def start(tars: Path, output: Path, folder: Path, seconds: float) -> subprocess.Popen:
    """A driver with two workers, running."""
    script = folder / "driver.py"
    script.write_text(DRIVER.format(tars=str(tars), output=str(output), seconds=seconds))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, script], env=environment, stderr=subprocess.PIPE, text=True
    )


def workers_of(pid: int) -> list[int]:
    """The processes that a driver has started as workers."""
    found = []
    for path in Path(f"/proc/{pid}/task/{pid}").glob("children"):
        for child in map(int, path.read_text().split()):
            try:
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
            except OSError:
                continue  # it has ended since
    return found


def kill_and_compare(tars: Path, folder: Path, seed: int, kills: int) -> int:
    """Kill workers and drivers so many times; gives how many of them were drivers."""
    whole, output = folder / "whole", folder / "out"
    do(read(tars), whole)
    generator, killed, drivers = random.Random(seed), 0, 0
    process = start(tars, output, folder, 0.05)
    while killed < kills:
        time.sleep(generator.uniform(0.1, 1))
        if process.poll() is not None:
            process = start(tars, output, folder, 0.05)
            for path in output.glob("*_stats.json"):  # all was done: half of it again
                if generator.random() < 0.5:
                    path.unlink()
            continue
        is_driver = not drivers or generator.random() < 0.3
        try:
            victims = [process.pid] if is_driver else workers_of(process.pid)
            if victims:
                os.kill(generator.choice(victims), signal.SIGKILL)
                killed, drivers = killed + 1, drivers + is_driver
        except ProcessLookupError:
            continue
        if is_driver:
            process.communicate()
    _, messages = process.communicate(timeout=300)
    if process.returncode:  # it was a driver that was killed last
        process = start(tars, output, folder, 0)
        _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    assert "brought" not in messages
    assert results_of(output) == results_of(whole)
    assert len(rows_of(output)) == 8 * 96
    return drivers


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system has no /proc")
def test_killed_three_times(tars: Path, tmp_path: Path) -> None:
    assert kill_and_compare(tars, tmp_path, seed=3, kills=3) >= 1


@pytest.mark.nightly
def test_killed_30_times(tars: Path, tmp_path: Path) -> None:
    assert kill_and_compare(tars, tmp_path, seed=1, kills=30) >= 3


def test_workers_end_with_their_driver(tars: Path, tmp_path: Path) -> None:
    process = start(tars, tmp_path / "out", tmp_path, 0.2)
    end = time.monotonic() + 60
    while len(found := workers_of(process.pid)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert len(found) == 2
    while any(is_running(pid) for pid in found) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [pid for pid in found if is_running(pid)]


def is_running(pid: int) -> bool:
    """Whether there is such a process that hasn't ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def retried(start: Callable[[], Any]) -> Any:
    """What Ray starts: its processes have 15 seconds, which a busy machine may not give them.

    https://github.com/ray-project/ray/issues/65983
    """
    for _ in range(2):
        try:
            return start()
        except Exception:  # Ray's own kind is the base of all
            time.sleep(5)
    return start()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster of this machine alone, with a node of one processor."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # its workers import the tests
    from ray.cluster_utils import Cluster

    options = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "num_cpus": 1}
    found = retried(lambda: Cluster(initialize_head=True, head_node_args=options))
    yield found
    found.shutdown()


def test_ray_does_the_same_with_a_node_removed_and_a_photo_that_kills(
    tmp_path: Path, tars: Path, cluster: Any, capsys: pytest.CaptureFixture
) -> None:
    """One node is killed mid-way; its shards are done by the other."""
    whole, output = tmp_path / "whole", tmp_path / "out"
    do(read(tars), whole)
    node = retried(lambda: cluster.add_node(num_cpus=1, node_ip_address="127.0.0.1"))

    def by_ray(work: Any, shards: Any) -> Iterator[Any]:
        outcomes = ray_tasks.distribute(work, shards, None, cluster.address, gpu=False)
        for number, outcome in enumerate(outcomes):
            yield outcome
            if number == 0:
                cluster.remove_node(node, allow_graceful=False)

    summary = run_shards(Job(DigestTask(seconds=0.1), str(output)), read(tars), by_ray, Share())
    assert (summary.photos, summary.done, summary.is_whole) == (768, 8, True)
    assert results_of(output) == results_of(whole)
    deadly = write_tar(tmp_path / "deadly" / "a.tar", [*NAMES[:20], "deadly.jpg", "last.jpg"])
    job = Job(DigestTask(), str(tmp_path / "skipped"), tries=1)

    def alone(work: Any, shards: Any) -> Iterator[Any]:
        return ray_tasks.distribute(work, shards, 1, cluster.address, gpu=False)

    summary = run_shards(job, read(deadly), alone, Share())
    assert (summary.photos, summary.failed) == (22, 1)
    assert "skipped deadly.jpg in shard a: it brought 1 workers down" in capsys.readouterr().err


def test_an_address_that_is_no_cluster() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"127.0.0.1:{port}", "nonsense:port"):
        with pytest.raises(CaptioningError, match=f"there is no Ray cluster at {address}"):
            ray_cluster.connect(address)
