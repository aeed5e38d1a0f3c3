"""One training on several processes or devices: Keras' data parallelism over JAX.

Each process computes its own rows of every batch; the gradients are summed over all of them, so
the weights are the same everywhere. Which rows, and how many, follows from Keras' and JAX' own
state: `own_share`. Only the first process writes.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.backend import set_seed
from captioning.errors import CaptioningError

if TYPE_CHECKING:
    import numpy as np  # where it's used, it's imported there: help must not wait for it

JOINED_AFTER = 45
"""So many seconds a process waits for the others before the training begins."""


@dataclass(frozen=True)
class Place:
    """Where the processes of a training meet, and which of them this one is.

    address: HOST:PORT of process 0. What is None is known to JAX: of SLURM, MPI or Kubernetes.
    """

    address: str | None = None
    processes: int | None = None
    process: int | None = None


@dataclass(frozen=True)
class Share:
    """Which rows of a batch this process computes, of `devices` devices in `processes` processes.

    A batch is filled up to a multiple of the devices; the rows that fill it are the last ones.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1

    def filled(self, rows: int) -> int:
        """How many rows a batch of `rows` has once it is filled up."""
        return -(-rows // self.devices) * self.devices

    def of(self, rows: "np.ndarray") -> "np.ndarray":
        """This process' part of a batch's rows, int (own,); -1 where the batch is filled up."""
        import numpy as np

        every = np.full(self.filled(len(rows)), -1, int)
        every[: len(rows)] = rows
        own = len(every) // self.processes
        return every[self.process * own : (self.process + 1) * own]


def join(place: Place) -> tuple[int, int]:
    """Meet the other processes, before anything is computed; JAX ends this process if they don't.

    Gives the number of this process and how many there are.

    Raises `CaptioningError` when it isn't known where they meet, or another program is there.
    """
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would swallow SIGTERM, by which SLURM and Kubernetes end a process.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            place.address,
            place.processes,
            place.process,
            initialization_timeout=JOINED_AFTER,
            # Where the address is one of this machine alone, nobody else may connect.
            coordinator_bind_address=place.address if _is_local(place.address) else None,
        )
    except (ValueError, TypeError) as error:
        raise CaptioningError(
            f"JAX doesn't know where the processes meet ({error}); say it with --address, "
            "--processes and --process"
        ) from None
    except RuntimeError as error:  # JAX' own kind
        reason = str(error).split("\n")[0][:200]
        raise CaptioningError(
            f"the processes can't meet at {place.address or 'the address that JAX found'} "
            f"({reason}); if another program has the port, name another one with --address"
        ) from None
    return jax.process_index(), jax.process_count()


def leave() -> None:
    """Part from the other processes, at the end of all."""
    import jax

    jax.distributed.shutdown()


def coordination() -> Any:
    """JAX's client of the service that process 0 runs: keys and values that all see."""
    from jax._src import distributed  # not public, but what Orbax and others use

    return distributed.global_state.client


def _is_local(address: str | None) -> bool:
    return (address or "").startswith(("127.0.0.1:", "localhost:"))


def distribute() -> None:
    """From now on models are trained on all devices of all processes, where there are several.

    Call it before a model is made or loaded. Several GPUs in one machine need nothing else.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        if jax.device_count() > 1:
            # Not Keras' own division of the data: it wants `tf.data`.
            parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
            keras.distribution.set_distribution(parallel)
            # A model is built with random weights before its own are loaded, and JAX wants the same
            # numbers in every process.
            set_seed(0)


@contextmanager
def alone() -> Iterator[None]:
    """Inside, models are made, loaded and run by this process alone, on its first device."""
    import keras

    together = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(together)


def own_share() -> Share:
    """This process' share of what is trained together; all of it where nothing is."""
    import keras

    together = keras.distribution.distribution()
    if together is None:
        return Share()
    import jax

    return Share(jax.process_index(), jax.process_count(), together.device_mesh.devices.size)


def is_first_process() -> bool:
    """Whether this is the process that writes, or the only one."""
    import keras

    if keras.backend.backend() != "jax":
        return True
    import jax

    return jax.process_index() == 0


def gather(value: Any) -> list[Any]:
    """What each process has, in their order; values that JSON can carry. All must call it."""
    share = own_share()
    if share.processes == 1:
        return [value]
    every = _gather_bytes(json.dumps(value).encode())
    return [json.loads(part) for part in every]


def check_same(what: dict[str, Any]) -> None:
    """Raise `CaptioningError` naming the process where a value differs from that of process 0."""
    every = gather(what)
    for process, theirs in enumerate(every):
        for key, value in every[0].items():
            if theirs[key] != value:
                raise CaptioningError(
                    f"process {process} has another {key} than process 0 ({theirs[key]}, not "
                    f"{value}); all want the same options and the same --data"
                )


@contextmanager
def folder_of_first(folder: Path) -> Iterator[Path]:
    """The folder's files as process 0 has them: in other processes, in a copy for the while.

    So the other processes need not see the disk of process 0.
    """
    share = own_share()
    if share.processes == 1:
        yield folder
        return
    names = gather(sorted(path.name for path in folder.glob("*")))[0]
    with tempfile.TemporaryDirectory() as copied:
        for name in names:
            content = (folder / name).read_bytes() if share.process == 0 else b""
            content = _gather_bytes(content)[0]
            if share.process:
                (Path(copied) / Path(name).name).write_bytes(content)
        yield Path(copied) if share.process else folder


def _gather_bytes(content: bytes) -> list[bytes]:
    import numpy as np
    from jax.experimental.multihost_utils import process_allgather

    sizes = process_allgather(np.array(len(content), np.int32))  # (processes,)
    padded = np.zeros(max(1, int(sizes.max())), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    every = process_allgather(padded)  # (processes, bytes)
    return [row[:size].tobytes() for row, size in zip(every, sizes, strict=True)]


def silence_bars() -> None:
    """Progress bars are process 0's; tqdm reads this when it is imported."""
    os.environ["TQDM_DISABLE"] = "1"
