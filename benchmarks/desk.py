"""The desk with many photos: python benchmarks/desk.py --photos FOLDER --count 10000

The first captions, memory, scrolling, the way to the last photo and a search, in Chromium without a
window; by the clock, and in processor time, which other processes add nothing to. With more photos
than the folder has, some are there again with other bytes behind their picture, as new photos.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the project, instead of this file's folder

from tests.desks import until

FRAMES = 300
"""Frames that are scrolled through."""

SCROLL = """async ([step, frames]) => {
    const list = document.getElementById("list");
    const times = [];
    let last = performance.now();
    for (let frame = 0; frame < frames; frame += 1) {
        list.scrollTop += step;
        await new Promise((done) => requestAnimationFrame(done));
        const now = performance.now();
        times.push(now - last);
        last = now;
    }
    return times.sort((one, other) => one - other);
}"""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--photos", type=Path, default=ROOT / "samples", help="a folder (default: samples)")
    add("--count", type=int, default=10_000, help="photos in the desk (default: 10000)")
    add("--port", type=int, default=7893, help="where the desk answers (default: 7893)")
    return parser.parse_args()


def fill(folder: Path, photos: list[Path], count: int) -> None:
    """So many photos, no two with the same bytes."""
    for number in range(count):
        target = folder / f"{number:05}.jpg"
        shutil.copyfile(photos[number % len(photos)], target)
        if number >= len(photos):
            with target.open("ab") as file:
                file.write(number.to_bytes(4))


def memory_mb(process: int, kind: str) -> int:
    """Of a process in MB; kind: VmRSS for now, VmHWM for the most so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(kind))


def processor_seconds(process: int) -> float:
    """That a process has used."""
    parts = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def rendering_seconds(client: Any) -> float:
    """Processor time of the page since its performance is watched."""
    found = {one["name"]: one["value"] for one in client.send("Performance.getMetrics")["metrics"]}
    return found["TaskDuration"]


def measure(page: Any, server: int, url: str) -> None:
    """Open the page and print what is measured."""
    began, used = time.monotonic(), processor_seconds(server)
    page.goto(url)
    page.wait_for_selector(".row")
    print(f"rows after {time.monotonic() - began:.2f} s")
    until(lambda: page.locator(".row .facts", has_text="sure").count())
    spent = processor_seconds(server) - used
    print(f"first captions after {time.monotonic() - began:.2f} s, processor {spent:.2f} s")
    count = page.evaluate(
        "[document.querySelectorAll('*').length, document.querySelectorAll('.row').length]"
    )
    print(f"elements of the page, rows: {count}")
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    for step in (30, 300):
        before, started = rendering_seconds(client), time.monotonic()
        times = page.evaluate(SCROLL, [step, FRAMES])
        took = time.monotonic() - started
        work = 1000 * (rendering_seconds(client) - before) / FRAMES
        print(
            f"scrolling {step} pixels a frame: {FRAMES / took:.0f} frames/s, median "
            f"{times[FRAMES // 2]:.1f} ms, 95% {times[FRAMES * 95 // 100]:.1f} ms; "
            f"processor {work:.1f} ms a frame"
        )
    page.locator(".row .caption").first.focus()
    started = time.monotonic()
    page.keyboard.press("End")
    until(lambda: page.locator(".row.is-chosen .caption").is_visible())
    print(f"End: {time.monotonic() - started:.2f} s")
    started = time.monotonic()
    page.fill("#search", "00042")
    until(lambda: page.locator(".row").count() <= 2)
    print(f"search: {time.monotonic() - started:.2f} s")
    page.fill("#search", "")
    time.sleep(20)
    print(page.inner_text("#progress"))
    print(f"memory {memory_mb(server, 'VmRSS')} MB, at most {memory_mb(server, 'VmHWM')} MB")


def main() -> None:
    """Make the photos, start the desk, measure."""
    options = parse_arguments()
    from playwright.sync_api import sync_playwright

    photos = sorted(options.photos.glob("*.jpg"))
    if not photos:
        sys.exit(f"{options.photos} has no .jpg files")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), photos, options.count)
        print(f"{options.count:,} photos; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")
        command = [sys.executable, ROOT / "app.py", folder, "--port", str(options.port)]
        command += ["--model", ROOT / "models" / "flickr8k"]
        began = time.monotonic()
        server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            used = processor_seconds(server.pid)
            print(f"answers after {time.monotonic() - began:.2f} s, processor {used:.2f} s")
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                measure(page, server.pid, f"http://127.0.0.1:{options.port}")
                browser.close()
        finally:
            server.terminate()
            server.wait()
    print(f"load at the end {os.getloadavg()[0]:.0f}")


if __name__ == "__main__":
    main()
