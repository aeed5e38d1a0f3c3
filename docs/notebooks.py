"""Run the notebooks and store them with their outputs, as a reader without a kernel sees them.

    python docs/notebooks.py            # both; --only training_caption_generator for one

They run in a copy of the project, from top to bottom, in a new kernel. Progress bars and messages
(standard error) are not stored, and no path of this machine.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NOTEBOOKS = ("training_caption_generator", "caption_your_photos")
NEEDED = ("captioning", "notebooks", "samples", "models/flickr8k")
WIDGET = "application/vnd.jupyter.widget-view+json"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--scenes", type=int, default=1000, help="training scenes of the demo (default: 1000)"
    )
    parser.add_argument("--only", choices=NOTEBOOKS, help="this notebook alone (default: both)")
    return parser.parse_args()


def execute(name: str, project: Path, scenes: int) -> Any:
    """Run a notebook of the copy `project` on so many scenes; it with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(project / "notebooks" / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(project / "notebooks")}}
    client = NotebookClient(notebook, timeout=7200, kernel_name="python3", resources=resources)
    environment = {
        "CAPTIONING_NOTEBOOK_PHOTOS": "samples",
        "CAPTIONING_NOTEBOOK_SCENES": str(scenes),
        "PYTHONPATH": str(project),
    }
    client.execute(env={**os.environ, **environment})
    return notebook


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


def main() -> None:
    """Run and store."""
    options = parse_arguments()
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder).resolve() / "image-captions"
        for part in NEEDED:
            ignored = shutil.ignore_patterns("__pycache__", "demo")
            shutil.copytree(ROOT / part, project / part, ignore=ignored)
        for name in [options.only] if options.only else NOTEBOOKS:
            notebook = execute(name, project, options.scenes)
            clean(notebook, project)
            nbformat.validate(notebook)
            nbformat.write(notebook, ROOT / "notebooks" / f"{name}.ipynb")
            print(f"stored notebooks/{name}.ipynb")


if __name__ == "__main__":
    main()
