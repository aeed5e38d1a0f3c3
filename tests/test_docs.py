"""What README, docs and recipes say to type is understood, and what they link to is there."""

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from captioning.errors import CONSOLE, SCRIPTS
from captioning.evaluation.published import PUBLISHED, is_flickr8k, published_beside
from tests.conftest import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("models/flickr8k*/README.md")),
]
RECIPES = sorted(ROOT.glob("recipes/*.sh"))
COMMANDS = {f"python {script}": name for name, script in SCRIPTS.items()}
COMMANDS |= {f"{CONSOLE} {name}": name for name in SCRIPTS}


def command_lines(path: Path) -> list[tuple[str, list[str]]]:
    """The commands of a page's code blocks or of a recipe: (sub-command, its arguments)."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    if path.suffix == ".md":
        # Blocks, and code within a sentence, which may go on over a line's end.
        text = "\n".join(
            re.findall(r"```(?:sh)?\n(.*?)```", text, re.S)
            + [found.replace("\n", " ") for found in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
        )
    found = []
    for line in text.splitlines():
        line = line.strip().removeprefix("$ ")
        line = re.sub(r"^[A-Z_]+=\w+ ", "", line)  # KERAS_BACKEND=jax python train.py
        for start, name in COMMANDS.items():
            if re.match(rf"{re.escape(start)}(\s|$)", line):
                words = shlex.split(line.removeprefix(start), comments=True)
                found.append((name, [w for w in words if w not in ("$@", "${decoding[@]}")]))
    return found


def test_there_are_commands_to_check() -> None:
    assert sum(len(command_lines(path)) for path in PAGES) > 25
    assert sum(len(command_lines(path)) for path in RECIPES) > 15


@pytest.mark.parametrize(
    "path", [*PAGES, *RECIPES], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_commands_are_understood(path: Path) -> None:
    for name, arguments in command_lines(path):
        options = [word for word in arguments if re.fullmatch(r"-[a-z]|--[a-z-]+", word)]
        if options == [] or options == ["--help"]:
            continue
        module = import_module(f"captioning.commands.{name}")
        # "--beam K" on a page stands for a number.
        arguments = ["5" if word in ("K", "N", "D") else word for word in arguments]
        try:
            module.parse_arguments(arguments, None)
        except SystemExit:
            pytest.fail(f"{path.name}: {name} {shlex.join(arguments)}")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipes_are_valid_and_say_what_to_expect(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    text = path.read_text(encoding="utf-8")
    assert "# Time" in text
    assert "# To expect" in text


def test_paths_in_the_docs_are_there() -> None:
    for path in PAGES:
        for name in re.findall(r"\b(?:tests|captioning|benchmarks)/[\w/.]+\w", path.read_text()):
            if not name.startswith("captioning-"):
                assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_the_leaderboard_is_written_from_the_sources_that_it_names() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import runpy; print(runpy.run_path('docs/leaderboard.py')['page']())",
        ],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    page = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    assert done.stdout.rstrip("\n") == page.rstrip("\n"), "write it: python docs/leaderboard.py"


def test_published_scores_have_a_source_and_are_percent() -> None:
    for one in PUBLISHED:
        assert one.link.startswith("https://")
        assert all(10 < value < 100 for value in one.scores.values()), one.name
        assert one.found or "arxiv" in one.link or one.caveat


def test_photos_of_flickr8k_are_known_by_their_names() -> None:
    assert is_flickr8k(["1000268201_693b08cb0e.jpg", "2258277193_586949ec62.jpg"])
    assert not is_flickr8k(["1000092795.jpg"])
    assert not is_flickr8k(["1000268201_693b08cb0e.jpg", "scene_0001.jpg"])


def test_published_scores_stand_beside_those_of_flickr8ks_photos_and_captions_alone() -> None:
    both = ["a dog runs", "a big dog"]
    assert len(published_beside({"1000268201_693b08cb0e.jpg": both})) > 1
    assert not published_beside({"1000268201_693b08cb0e.jpg": both[:1]})
    assert not published_beside({"1000268201_693b08cb0e.jpg": both, "mine.jpg": both})
