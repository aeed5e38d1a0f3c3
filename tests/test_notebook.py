"""The notebooks run from top to bottom, and are stored with outputs and without logic."""

import ast
import copy
import csv
import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = Path("notebooks") / "training_caption_generator.ipynb"
YOURS = Path("notebooks") / "caption_your_photos.ipynb"
PICTURES = (
    "overview",
    "look",
    "clean",
    "statistics",
    "numbers",
    "nearest",
    "samples",
    "shift",
    "model",
    "untrained",
    "train",
    "film",
    "captions",
    "step",
    "walk",
    "photos",
    "look-train",
    "look-maps",
)


@pytest.fixture(name="notebook", scope="module", params=[NOTEBOOK, YOURS], ids=lambda n: n.stem)
def _notebook(request: pytest.FixtureRequest) -> Any:
    return nbformat.read(ROOT / request.param, as_version=4)


def code_cells(notebook: Any) -> dict[str, Any]:
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def copy_project(folder: Path, name: Path = NOTEBOOK) -> Any:
    """Copy what a notebook needs into an empty folder; give the notebook."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "captioning", folder / "captioning", ignore=ignore)
    (folder / name).parent.mkdir()
    shutil.copy(ROOT / name, folder / name)
    return nbformat.read(folder / name, as_version=4)


def execute(notebook: Any, start: Path, **environment: str) -> None:
    """Execute a notebook on few scenes, in a kernel started in the folder `start`."""
    resources = {"metadata": {"path": str(start)}}
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env={**os.environ, "CAPTIONING_NOTEBOOK_SCENES": "80", **environment})


def test_is_valid_and_stored_with_outputs_for_readers(notebook: Any) -> None:
    """As `python docs/notebooks.py` stores it."""
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = code_cells(notebook)
    for place, cell in enumerate(cells.values(), 1):
        assert cell.execution_count == place, cell.id
        for output in cell.outputs:
            # No progress bars or messages, no traceback, no path of the machine it ran on.
            assert output.output_type in ("stream", "display_data"), cell.id
            assert output.get("name") != "stderr", cell.id
            text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not re.search(r"(^|[\s\"'(])/\w|[A-Z]:\\\\", text), f"{cell.id}: {text}"
            assert set(output.get("data", {})) <= {"image/png", "text/plain"}, cell.id
    with_pictures = {name for name, cell in cells.items() if pictures_of(cell)}
    names = PICTURES if "step-1" in {cell.id for cell in notebook.cells} else ("sheet", "maps")
    assert with_pictures == set(names)


def pictures_of(cell: Any) -> list[Any]:
    """The outputs of a cell that are pictures."""
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def test_every_picture_has_a_text_for_who_does_not_see_it(notebook: Any) -> None:
    for name, cell in code_cells(notebook).items():
        for output in pictures_of(cell):
            assert len(output.metadata["image/png"]["alt"]) > 20, name


def test_what_is_stored_leaves_out_bars_messages_and_paths() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    from notebooks import WIDGET, clean

    output = nbformat.v4.new_output
    cell = nbformat.v4.new_code_cell("x")
    cell.outputs = [
        output("stream", name="stderr", text="100%"),
        output("display_data", {WIDGET: {}, "text/plain": "bar"}),
        output("stream", name="stdout", text=f"3 rows in {Path('/some/where')}{os.sep}a.csv"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    clean(notebook, Path("/some/where"))
    assert [own.text for own in cell.outputs] == ["3 rows in a.csv"]


@pytest.mark.parametrize("address", ["", "https://github.com/some-one/some.project"])
def test_on_colab_the_first_cell_fetches_the_project(
    notebook: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    from notebooks import link

    notebook = copy.deepcopy(notebook)
    link(notebook, "a_name", address)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "requirements.txt").touch()
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        ran.append(command)
        if command[0] == "git":
            shutil.copytree(tmp_path / "project", command[-1])

    def upload() -> dict[str, bytes]:
        shutil.make_archive("image-captions", "zip", tmp_path / "project")
        return {"image-captions.zip": b""}

    monkeypatch.setattr("subprocess.run", run)
    for name in ("google", "google.colab"):
        monkeypatch.setitem(
            sys.modules, name, SimpleNamespace(files=SimpleNamespace(upload=upload))
        )
    monkeypatch.chdir(tmp_path)
    exec(code_cells(notebook)["colab"].source, {})
    assert Path.cwd() == tmp_path / "image-captions" and Path("requirements.txt").is_file()
    cloned = [command for command in ran if command[0] == "git"]
    assert [command[-2] for command in cloned] == ([address] if address else [])
    assert ran[-1][-2:] == ["-r", "image-captions/requirements.txt"]


def test_the_badge_leads_to_the_project_or_to_colabs_uploads(notebook: Any) -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    from notebooks import github_address, link

    for remote in (
        "https://github.com/some-one/some.project.git\n",
        "git@github.com:some-one/some.project.git",
        "ssh://git@github.com/some-one/some.project",
    ):
        assert github_address(remote) == "https://github.com/some-one/some.project"
    for elsewhere in (
        "",
        "https://example.org/a/b.git",
        "https://github.com.example.org/a/b",
        "/a",
    ):
        assert github_address(elsewhere) == ""
    notebook = copy.deepcopy(notebook)
    colab = "https://colab.research.google.com"
    for address, target in (
        ("https://github.com/a/b", f"{colab}/github/a/b/blob/main/notebooks/name.ipynb"),
        ("", f"{colab}/#upload=true"),
    ):
        link(notebook, "name", address)
        assert notebook.cells[0].source.startswith("[![Open in Colab]")
        assert f"({target})" in notebook.cells[0].source


def test_defines_no_function_and_no_class(notebook: Any) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for name, cell in code_cells(notebook).items():
        lines = [line for line in cell.source.split("\n") if not line.startswith("%")]
        for node in ast.walk(ast.parse("\n".join(lines))):
            assert not isinstance(node, kinds), f"the cell {name} defines {node.name}"


def test_has_the_eight_steps_in_order() -> None:
    notebook = nbformat.read(ROOT / NOTEBOOK, as_version=4)
    titles = [
        line
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.split("\n")
        if line.startswith("## ")
    ]
    assert [title[3:5] for title in titles][:8] == [f"{step}." for step in range(1, 9)]


def test_finds_the_project_from_its_own_folder_too(tmp_path: Path) -> None:
    notebook = copy_project(tmp_path)
    notebook.cells = [cell for cell in notebook.cells if cell.id in ("colab", "find-project")]
    notebook.cells[1].source += "\nprint(Path.cwd())"
    execute(notebook, tmp_path)
    assert notebook.cells[1].outputs[0].text.strip() == str(tmp_path.resolve())


@pytest.fixture(name="executed", scope="module")
def _executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("project")
    notebook = copy_project(folder)
    execute(notebook, folder / "notebooks")
    return folder, notebook


def test_runs_from_top_to_bottom_with_pictures(executed: tuple[Path, Any]) -> None:
    _, notebook = executed
    cells = code_cells(notebook)
    raised = [
        name
        for name, cell in cells.items()
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert not raised
    printed = [output.get("text", "") for cell in cells.values() for output in cell.outputs]
    assert not [text for text in printed if "WARNING" in text]
    assert all(cell.execution_count for cell in cells.values())
    for name in PICTURES:
        assert any("image/png" in output.get("data", {}) for output in cells[name].outputs), name


def test_leaves_the_files_of_each_stage(executed: tuple[Path, Any]) -> None:
    demo = executed[0] / "notebooks" / "demo"
    for name in ("descriptions.txt", "splits.json", "tokenizer.p", "features.p"):
        assert (demo / "data" / name).is_file(), name
    for name in ("captioner.json", "model.keras", "history.csv", "curves.png", "model.png"):
        assert (demo / name).is_file(), name


@pytest.mark.parametrize("decoder", ["merge", "attention"])
def test_captions_a_folder_into_a_table_and_goes_on(
    decoder: str, grids_models: dict[str, Path], scenes_folder: Path, tmp_path: Path
) -> None:
    notebook = copy_project(tmp_path, YOURS)
    mine, table = tmp_path / "my photos", tmp_path / "captions.csv"
    mine.mkdir()
    names = sorted(path.name for path in (scenes_folder / "Flicker8k_Dataset").iterdir())[:7]
    for name in names:
        shutil.copy(scenes_folder / "Flicker8k_Dataset" / name, mine / name)
    (mine / "broken.jpg").write_text("no image")
    settings = {
        "CAPTIONING_NOTEBOOK_PHOTOS": str(mine),
        "CAPTIONING_NOTEBOOK_CSV": str(table),
        "CAPTIONING_NOTEBOOK_MODEL": str(grids_models[decoder]),
    }
    (mine / names[-1]).rename(tmp_path / names[-1])
    execute(notebook, tmp_path / "notebooks", **settings)
    first = table.read_text(encoding="utf-8").splitlines()
    assert len(first) == 1 + 6
    (tmp_path / names[-1]).rename(mine / names[-1])
    execute(notebook, tmp_path / "notebooks", **settings)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["image"]).name for row in rows] == names
    assert [row["unsure"] for row in rows].count("yes") == 1
    assert [row["caption"] for row in rows[:6]] == [line.split(",")[1] for line in first[1:]]
    cells = code_cells(notebook)
    told = "".join(output.get("text", "") for output in cells["caption"].outputs)
    assert f"skipped {mine / 'broken.jpg'}" in told
    pictures = {
        name
        for name, cell in cells.items()
        if any("image/png" in output.get("data", {}) for output in cell.outputs)
    }
    assert pictures == ({"sheet"} if decoder == "merge" else {"sheet", "maps"})
