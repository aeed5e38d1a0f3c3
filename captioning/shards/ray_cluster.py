"""Connecting to a Ray cluster, or starting one of this machine alone."""

import os
import socket
from typing import Any

from captioning.errors import CaptioningError


def imported(address: str | None) -> Any:
    """Ray's module, which is told that its makers get no statistics, and to stay on this machine.

    Both hold from its first import on. address: of a cluster, None without one.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # 127.0.0.1, on Linux too
    import ray

    return ray


def connect(address: str | None) -> Any:
    """Ray's module, connected to a cluster or to what is started here, without its page.

    Raises `CaptioningError` for an address that isn't a cluster's.
    """
    ray = imported(address)
    if ray.is_initialized():
        return ray
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    own = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        if colon:  # Ray itself would wait for a minute
            socket.create_connection((host, int(port)), 5).close()
        ray.init(address=address or "local", log_to_driver=False, logging_level="error", **own)
    except Exception as error:  # Ray's own are of many kinds
        said = str(error).strip().split("\n")[0][:200]
        if address:
            raise CaptioningError(f"there is no Ray cluster at {address}: {said}") from None
        raise CaptioningError(
            f"Ray doesn't start here: {said}; where the machine was busy, run the same command "
            "again, or leave --distributor ray out"
        ) from None
    return ray
