"""Run the notebooks and store them with their outputs, as a reader without a kernel sees them.

    python docs/notebooks.py            # both; --only training_caption_generator for one
    python docs/notebooks.py --badges   # only their links to Colab, without running them
    python docs/notebooks.py --flickr8k FOLDER --weights FILE --output there.ipynb

They run in a copy of the project, from top to bottom, in a new kernel. Progress bars and messages
(standard error) are not stored, and no path of this machine. The link to Colab is that of the
project on GitHub: --address says it, otherwise git's "origin"; without one it leads to Colab's page
for uploads. The last line runs the first notebook on real photos, into another file.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NOTEBOOKS = ("training_caption_generator", "caption_your_photos")
NEEDED = ("captioning", "notebooks", "samples", "models/flickr8k")
WIDGET = "application/vnd.jupyter.widget-view+json"
COLAB = "https://colab.research.google.com"
FLICKR8K = ("Flicker8k_Dataset", "Flickr_8k_text")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--scenes", type=int, default=1000, help="training scenes of the demo (default: 1000)")
    add("--only", choices=NOTEBOOKS, help="this notebook alone (default: both)")
    add("--address", help="of the project on GitHub (default: that of git's origin)")
    add("--badges", action="store_true", help="write the links to Colab, run nothing")
    add("--flickr8k", type=Path, help=f"run on this folder's {' and '.join(FLICKR8K)} instead")
    add("--weights", type=Path, help="with --flickr8k: a file of Xception's weights to block 13")
    add("--output", type=Path, help="with --flickr8k: where the notebook is stored")
    return parser.parse_args()


def github_address(remote: str) -> str:
    """https://github.com/OWNER/NAME of an address that git knows; "" for one elsewhere."""
    found = re.fullmatch(
        r"(?:https://|ssh://git@|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?", remote.strip()
    )
    return f"https://github.com/{found[1]}" if found else ""


def origin() -> str:
    """Where git got this project; "" if it doesn't know."""
    command = ["git", "remote", "get-url", "origin"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def link(notebook: Any, name: str, address: str) -> None:
    """Write the link to Colab, and where its first cell gets the project.

    address: as `github_address` gives it; without one the link leads to Colab's page for uploads.
    """
    cells = {cell.id: cell for cell in notebook.cells}
    place = f"/github{address.removeprefix('https://github.com')}/blob/main/notebooks/{name}.ipynb"
    target = COLAB + (place if address else "/#upload=true")
    cells["badge"].source = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({target})" + (
        "" if address else f" It asks for this file, `{name}.ipynb`."
    )
    source, count = re.subn(
        r'(?m)^ADDRESS = ".*?"', f'ADDRESS = "{address}"', cells["colab"].source
    )
    assert count == 1, "the first cell has no line for the address"
    cells["colab"].source = source


def use_flickr8k(notebook: Any, weights: Path) -> None:
    """Choose the real photos, in the one cell that a reader would change."""
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith('DATA = "demo"'))
    for before, after in (
        ('DATA = "demo"', 'DATA = "flickr8k"'),
        ('"xception", "imagenet"', f'"xception-block13", "{weights.resolve()}"'),
    ):
        assert before in cell.source, f"the settings have no {before}"
        cell.source = cell.source.replace(before, after, 1)


def execute(notebook: Any, project: Path, scenes: int) -> None:
    """Run a notebook in the copy `project`, on so many scenes."""
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(project / "notebooks")}}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources)
    environment = {
        "CAPTIONING_NOTEBOOK_PHOTOS": "samples",
        "CAPTIONING_NOTEBOOK_SCENES": str(scenes),
        "PYTHONPATH": str(project),
    }
    client.execute(env={**os.environ, **environment})


def clean(notebook: Any, project: Path) -> None:
    """Take out of the outputs what isn't for readers: progress bars, messages, paths, times."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if is_for_readers(output)]
        for output in cell.outputs:
            # The name by which a running kernel would find the output to replace it.
            output.get("transient", {}).pop("display_id", None)
            if "text" in output:
                output.text = output.text.replace(f"{project}{os.sep}", "")


def is_for_readers(output: Any) -> bool:
    """Whether an output is stored."""
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


def copy_project(folder: Path, flickr8k: Path | None) -> Path:
    """Copy what the notebooks need; real photos are linked."""
    project = folder.resolve() / "image-captions"
    for part in NEEDED:
        ignored = shutil.ignore_patterns("__pycache__", "demo")
        shutil.copytree(ROOT / part, project / part, ignore=ignored)
    for part in FLICKR8K if flickr8k else ():
        (project / part).symlink_to(flickr8k.resolve() / part)
    return project


def main() -> None:
    """Run and store."""
    options = parse_arguments()
    import nbformat

    address = github_address(options.address or origin())
    if options.address and not address:
        sys.exit(f"--address {options.address} is no address like https://github.com/OWNER/NAME")
    if options.flickr8k and not (options.weights and options.output):
        sys.exit("--flickr8k wants --weights and --output")
    names = [options.only] if options.only else NOTEBOOKS
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder), options.flickr8k)
        for name in names[:1] if options.flickr8k else names:
            file = ROOT / "notebooks" / f"{name}.ipynb"
            notebook = nbformat.read(file, as_version=4)
            link(notebook, name, address)
            if options.flickr8k:
                file = options.output
                use_flickr8k(notebook, options.weights)
            if not options.badges:
                began = time.monotonic()
                execute(notebook, project, options.scenes)
                clean(notebook, project)
                print(f"{name} ran in {(time.monotonic() - began) / 60:.0f} min")
            nbformat.validate(notebook)
            nbformat.write(notebook, file)
            print(f"stored {file.name}")


if __name__ == "__main__":
    main()
