"""The arithmetic of docs/scale.md: photos, bytes, machines, hours and money. Prints its tables.

python benchmarks/scale.py

Change the figures below to those of your machines, photos and prices.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# Measured by benchmarks/shards.py, speed and decode, on 2 cores (an Intel Xeon), models/flickr8k,
# beam 8.
CAPTIONS_A_CORE = 18.0
"""Photos a second of a core's time, from the file to the caption."""

DECODED_A_CORE = 480.0
"""Photos a second of a core, from the file to 300 x 300 pixels: 2.1 ms of the processor each."""

SECONDS_TO_START = 1.0
"""Of a worker: Python, ONNX Runtime, the model."""

# Of the model: multiplications and additions, two operations each.
ENCODER_OPERATIONS = 2 * 1.15e9
"""A photo through EfficientNet-Lite2: 0.86e9 at 260 pixels (Tan and Le 2019), 300 here."""

DECODER_PARAMETERS = 6.1e6
"""Of the transformer decoder: half of decoder_step.onnx' bytes, which are half-precision."""

BEAM, WORDS = 8, 12

# A photo's bytes.
PHOTO = 16_000
"""Flickr8k's mean, as shards of web photos are usually reduced."""
ROW = 150
"""A line of JSON: key, caption, score, familiar, error."""
VECTOR = 4 * 1280
GRID = 2 * 100 * 352
"""Float16, one view."""

LINK = 10e9 / 8
"""Bytes a second of a machine's network: 10 Gbit/s."""


@dataclass(frozen=True)
class Machine:
    """A machine by the hour.

    cores: as its system counts them; rate: the chip's operations a second in half precision, and
    use: the share of them that small networks reach, both 0 without a GPU; price: dollars an hour,
    on demand, for all of `gpus`; link: gigabits a second of its network, at the most.
    """

    name: str
    cores: int
    gpus: int
    rate: float
    use: float
    price: float
    link: float


MACHINES = (
    Machine("c5.4xlarge: 16 cores", 16, 0, 0, 0, 0.68, 10),
    Machine("g5.xlarge: 4 cores, an A10G", 4, 1, 70e12, 0.2, 1.006, 10),
    Machine("p5.48xlarge: 192 cores, 8 H100", 192, 8, 989e12, 0.2, 39.33, 3200),
)
"""List prices of Amazon's US East: its own price examples, and its capacity blocks for the last."""


def operations() -> float:
    """Of a photo's caption: the encoder, and each word of each hypothesis."""
    return ENCODER_OPERATIONS + 2 * DECODER_PARAMETERS * BEAM * WORDS


def by_gpus(machine: Machine) -> float:
    """Photos a second that its GPUs' operations allow."""
    return machine.gpus * machine.rate * machine.use / operations()


def photos_a_second(machine: Machine) -> tuple[float, str]:
    """What a machine captions, and what it waits for."""
    if not machine.gpus:
        return machine.cores * CAPTIONS_A_CORE, "its cores (measured)"
    reasons = {
        by_gpus(machine): "the GPU (operations)",
        machine.cores * DECODED_A_CORE: "JPEGs decoded by its cores (measured)",
        machine.link * 1e9 / 8 / PHOTO: "its network (bytes)",
    }
    return min(reasons), reasons[min(reasons)]


def captions(photos: float, hours: float = 24.0) -> Iterator[str]:
    """Rows: captions for so many photos, in so many hours."""
    yield (
        f"| {photos:,.0f} photos, {hours:g} h | photos/s a GPU (operations) | photos/s a machine | "
        "limit | machines | dollars |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for machine in MACHINES:
        rate, limit = photos_a_second(machine)
        gpu = f"{by_gpus(machine) / machine.gpus:,.0f}" if machine.gpus else ""
        machines = -(-photos // (rate * hours * 3600))
        money = photos / rate / 3600 * machine.price
        yield f"| {machine.name} | {gpu} | {rate:,.0f} | {limit} | {machines:,.0f} | {money:,.0f} |"


def volumes(photos: float) -> Iterator[str]:
    """Rows: bytes read, kept and sent."""
    yield f"| of {photos:,.0f} photos | a photo | in all |"
    yield "| --- | --- | --- |"
    for what, size in (
        ("read: the photo", PHOTO),
        ("kept: the row", ROW),
        ("kept: the vector", VECTOR),
        ("kept: the grid of one view", GRID),
    ):
        yield f"| {what} | {size:,} bytes | {size * photos / 1e12:,.2f} TB |"
    yield "| sent between machines | 0 bytes | 0 TB |"


def overhead(size: int = 1000) -> Iterator[str]:
    """Rows: what a shard costs beside its photos."""
    work = size / CAPTIONS_A_CORE
    yield f"| a shard of {size:,} photos on a core | seconds | share |"
    yield "| --- | --- | --- |"
    yield f"| its photos | {work:.0f} | 100% |"
    yield f"| a worker that starts, once | {SECONDS_TO_START:.1f} | {SECONDS_TO_START / work:.1%} |"
    lost = 16 / CAPTIONS_A_CORE
    yield f"| lost with a worker that dies: 16 photos, and a start | {lost + 1:.1f} | |"


# Training, measured: see benchmarks/README.md and models/flickr8k/captioner.json.
EPOCH_CAPTIONS, EPOCH_SECONDS, EPOCH_CORES = 30_000, 349.7, 2
"""The transformer on grids, distilled: an epoch of Flickr8k's captions on 2 cores."""

TRAINED_PARAMETERS = 6.1e6
REGIONS = 100


DISK = 2e9
"""Bytes a second that a machine reads of its own disks, or of storage behind its link."""

INSIDE = 450e9
"""Bytes a second between the GPUs of one machine (NVLink)."""


def training(photos: float = 3.5e6, epochs: int = 10, batch: int = 1024) -> Iterator[str]:
    """Rows: training on so many photos of one caption, the transformer on their grids."""
    gradient = 4 * TRAINED_PARAMETERS
    steps = photos / batch
    # Forward and backward: three times forward; regions are read by cross-attention at each word.
    a_caption = 6 * TRAINED_PARAMETERS * (WORDS + REGIONS / 4)
    of_a_core = EPOCH_CAPTIONS / EPOCH_SECONDS / EPOCH_CORES
    # Name, captions a second, members of the ring, its link, machines, dollars an hour.
    ways: list[tuple[str, float, int, float, int, float]] = [
        ("a machine of 16 cores (measured, by 2)", 16 * of_a_core, 1, LINK, 1, 0.68),
        ("16 such machines", 16 * 16 * of_a_core, 16, LINK, 16, 16 * 0.68),
        ("64 such machines", 64 * 16 * of_a_core, 64, LINK, 64, 64 * 0.68),
        ("an A10G (operations)", 70e12 * 0.2 / a_caption, 1, LINK, 1, 1.006),
        ("8 H100 in a machine (operations)", 8 * 989e12 * 0.2 / a_caption, 8, INSIDE, 1, 39.33),
    ]
    yield (
        f"| {photos:,.0f} photos, {epochs} epochs, batches of {batch:,} | captions/s | of these "
        "read in time | gradients sent a step | seconds of that | hours | dollars |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, rate, members, link, machines, price in ways:
        read = min(rate, machines * DISK / GRID)
        sent = 2 * (members - 1) / members * gradient  # a ring: each sends all but its own, twice
        hours = epochs * steps * (batch / read + sent / link) / 3600
        yield (
            f"| {name} | {rate:,.0f} | {read:,.0f} | {sent / 1e6:.0f} MB | {sent / link:.4f} "
            f"| {hours:,.1f} | {hours * price:,.0f} |"
        )


def tables() -> list[str]:
    """All tables of the page, in Markdown."""
    made = [captions(1e8), captions(5e9), volumes(1e8), volumes(5e9), volumes(3.5e6)]
    made += [overhead(), training()]
    return ["\n".join(rows) for rows in made]


if __name__ == "__main__":
    print("\n\n".join(tables()))
