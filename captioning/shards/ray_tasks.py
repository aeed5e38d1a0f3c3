"""Shards handed out as Ray's tasks, on this machine or on a cluster. Ray starts lost ones again.

https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from captioning.shards.ray_cluster import connect
from captioning.shards.shard import Shard
from captioning.shards.work import MOST_DEATHS, Outcome, Work


def distribute(
    work: Work,
    shards: Sequence[Shard],
    workers: int | None,
    address: str | None,
    gpu: bool,
) -> Iterator[Outcome]:
    """The shards' outcomes, as they come.

    workers: the most tasks at once, or None for as many as the cluster has processors; address: of
    the cluster, None for one of this machine alone; gpu: a GPU a task, where there is one. Raises
    `CaptioningError` for an address that isn't a cluster's.
    """
    ray = connect(address)
    there = ray.cluster_resources()
    resources = {"num_gpus": 1} if gpu and there.get("GPU") else {"num_cpus": 1}
    task = ray.remote(max_retries=MOST_DEATHS, **resources)(lambda shard: work(shard))
    at_once = workers or max(1, int(there.get("GPU" if "num_gpus" in resources else "CPU", 1)))
    waiting = deque(shards)
    running: dict[Any, Shard] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                shard = waiting.popleft()
                running[task.remote(shard)] = shard
            for reference in ray.wait(list(running))[0]:
                shard = running.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayError as error:
                    yield Outcome(shard.name, error=str(error).strip().split("\n")[0][:200])
    finally:
        ray.shutdown()
