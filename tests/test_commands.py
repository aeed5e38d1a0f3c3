"""The commands: one parser however they are called, help at once, exit codes."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from captioning.commands import run
from captioning.commands.options import MAX_PIXELS
from captioning.errors import CONSOLE, SCRIPTS, command_line
from captioning.vision import images
from tests.conftest import ROOT, processor_seconds, script

HEAVY = {"keras", "tensorflow", "jax", "numpy", "PIL", "matplotlib", "starlette", "tqdm"}
"""What takes a part of a second or more to import."""

# What help and messages depend on is the name that the process was started by.
START = """
import sys
sys.argv = [{called!r}, *{arguments!r}]
from captioning.commands.run import console
try:
    console()
finally:
    print("imported", *sorted({heavy!r} & sys.modules.keys()), file=sys.stderr)
"""


def console(*arguments: str, called: str = CONSOLE) -> subprocess.CompletedProcess:
    """The console command in a process of its own; the heavy imports are its last message."""
    code = START.format(called=called, arguments=arguments, heavy=HEAVY)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def words(text: str) -> str:
    """The text without line breaks, which depend on the length of the program's name."""
    return " ".join(text.split())


@pytest.mark.parametrize("command", SCRIPTS)
def test_help_comes_at_once(command: str) -> None:
    began = processor_seconds()
    done = console(command, "--help")
    assert processor_seconds() - began < 1
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {CONSOLE} {command} ")
    assert done.stderr == "imported\n"
    began = processor_seconds()
    assert script(SCRIPTS[command], "--help").returncode == 0
    assert processor_seconds() - began < 1


@pytest.mark.parametrize("command", SCRIPTS)
def test_console_and_scripts_have_the_same_options(command: str) -> None:
    texts = []
    for done, name in (
        (script(SCRIPTS[command], "--help"), "python {script}"),
        (console(command, "--help"), f"{CONSOLE} {{command}}"),
        (module(command, "--help"), "python -m captioning {command}"),
    ):
        assert done.returncode == 0, done.stderr
        text = words(done.stdout).replace(f"usage: {SCRIPTS[command]} ", "usage: CALL ")
        for other, file in SCRIPTS.items():
            text = text.replace(name.format(script=file, command=other), f"CALL {other}")
        texts.append(text.replace(f"usage: CALL {command} ", "usage: CALL "))
    assert texts[0] == texts[1] == texts[2]
    assert "--" in texts[0]
    assert f"examples: CALL {command}" in texts[0]  # each command shows how it is called
    assert "None" not in texts[0] and "False" not in texts[0]


def test_help_tells_the_defaults_of_fine_tuning() -> None:
    text = words(console("train", "--help").stdout)
    for told in (
        "transformer 15; with --finetune cider: merge 3, attention 4, transformer 3; with",
        "transformer 3; with --finetune encoder: 8)",
        "0.0007; with --finetune cider: merge 1e-05, attention 3e-06, transformer 1e-05; with",
        "transformer 1e-05; with --finetune encoder: 0.0003)",
        "transformer 32; with --finetune cider: 32)",
        "(default: 4; with --finetune cider: 3)",
        "captions sampled per photo (default: 5)",
    ):
        assert told in text


@pytest.mark.parametrize("command", [*SCRIPTS, "caption_shards", "features_shards"])
def test_help_tells_what_is_given_by_default_and_its_examples_are_understood(
    command: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsers: list[argparse.ArgumentParser] = []
    print_help = argparse.ArgumentParser.print_help
    monkeypatch.setattr(
        argparse.ArgumentParser, "print_help", lambda self: (parsers.append(self), print_help(self))
    )
    parse = import_module(f"captioning.commands.{command}").parse_arguments
    with pytest.raises(SystemExit):
        parse(["--help"], None)
    for action in parsers[0]._actions:
        number = isinstance(action.default, int | float) and not isinstance(action.default, bool)
        if number or (action.choices and action.default):
            assert "default: " in action.help, action.option_strings
        # "--seed SEED" says nothing.
        metavar = action.metavar or (None if action.choices else action.dest.upper())
        same = action.nargs != 0 and metavar == action.dest.upper()
        assert not same or metavar in ("MODEL", "PORT"), action.option_strings
    name = command.removesuffix("_shards")
    start = f"  {command_line(name)}"
    given = [line for line in capsys.readouterr().out.splitlines() if line.startswith(start)]
    assert given
    for line in given:
        arguments = shlex.split(line.removeprefix(start))
        of_shards = "_shards" * ("--shards" in arguments)
        import_module(f"captioning.commands.{name}{of_shards}").parse_arguments(arguments, None)


def module(*arguments: str) -> subprocess.CompletedProcess:
    """`python -m captioning` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "captioning", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_console_lists_its_commands_and_refuses_others() -> None:
    for arguments in ([], ["--help"], ["-h"]):
        done = console(*arguments)
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: {CONSOLE} COMMAND")
        assert re.findall(r"^  (\w+)", done.stdout, re.MULTILINE) == list(SCRIPTS)
    done = console("fly\x1b")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "no command 'fly\\x1b'" in done.stderr
    assert f"usage: {CONSOLE} COMMAND" in done.stderr
    assert module().stdout.startswith("usage: python -m captioning COMMAND")


def test_version() -> None:
    done = console("--version")
    assert done.returncode == 0
    assert re.fullmatch(rf"{CONSOLE} \d+\.\d+\.\d+\n", done.stdout)
    assert module("--version").stdout == done.stdout


def test_every_command_has_a_summary() -> None:
    assert run.SUMMARIES.keys() == SCRIPTS.keys()


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("/usr/bin/image-captions", "image-captions train"),
        ("image-captions.exe", "image-captions train"),
        ("captioning/__main__.py", "python -m captioning train"),
        ("caption_generator.py", "python train.py"),
        ("-c", "python train.py"),
        ("/lib/pytest/__main__.py", "python train.py"),
    ],
)
def test_messages_name_commands_as_the_program_was_called(
    monkeypatch: pytest.MonkeyPatch, called: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "argv", [called.replace("/", os.sep)])
    assert command_line("train") == expected


def test_without_a_checkout_messages_name_the_console_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("captioning.errors.__file__", str(tmp_path / "captioning" / "errors.py"))
    monkeypatch.setattr(sys, "argv", ["caption_generator.py"])
    assert command_line("caption") == f"{CONSOLE} caption"


def test_the_limit_on_pixels_is_the_same_everywhere() -> None:
    assert images.MAX_PIXELS == MAX_PIXELS


def test_a_trained_model_is_not_overwritten_unasked(model_folder: Path, data_folder: Path) -> None:
    before = (model_folder / "captioner.json").read_bytes()
    done = script("train.py", "--data", data_folder, "--output", model_folder, "--epochs", 1)
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (model_folder / "captioner.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dropout", "1"], "--dropout 1.0 is not from 0 to below 1"),
        (["--smoothing", "nan"], "--smoothing nan is not from 0 to below 1"),
        (["--learning-rate", "0"], "--learning-rate 0.0 is not a number above 0"),
        (["--learning-rate", "nan"], "--learning-rate nan is not a number above 0"),
        (["--learning-rate", "inf"], "--learning-rate inf is not a number above 0"),
        (["--weight-decay", "-0.1"], "--weight-decay -0.1 is not a number from 0 on"),
        (["--weight-decay", "nan"], "--weight-decay nan is not"),
        (["--warm-up", "-1"], "--warm-up -1.0 is not a number from 0 on"),
        (["--warm-up", "inf"], "--warm-up inf is not"),
        (["--seed", "-1"], "--seed -1 is not from 0 to 4,294,967,295"),
        (["--epochs", "0"], "--epochs 0 is not at least 1"),
        (["--batch-size", "0"], "--batch-size 0 is not at least 1"),
        (["--samples", "1"], "--samples must be at least 2"),
        (["--finetune", "cider"], "--finetune wants a trained model"),
    ],
)
def test_wrong_values_of_training_are_refused_at_once(arguments: list[str], message: str) -> None:
    began = processor_seconds()
    done = script("train.py", *arguments)
    assert processor_seconds() - began < 1.5
    assert done.returncode == 2
    assert message in done.stderr


CLOSED = """
import os, sys
from captioning.commands.run import run_main
{closing}
def main():
    print("a caption")
    print("a message", file=sys.stderr)
    with open({file!r}, "w") as file:
        os.write(1, b"from C++")
        os.write(2, b"from C++")
        file.write("the file")
run_main(main)
"""


@pytest.mark.parametrize(
    ("closing", "printed"),
    [
        ("sys.stdout = None; os.close(1)", ""),
        ("sys.stderr = None; os.close(2)", "a caption\nfrom C++"),
        ("sys.stdin = sys.stdout = sys.stderr = None; os.closerange(0, 3)", ""),
        ("sys.stdout.close(); sys.stderr.close()", "from C++"),  # closed for Python alone
    ],
)
def test_without_a_console_commands_run_and_files_hold_what_is_theirs(
    tmp_path: Path, closing: str, printed: str
) -> None:
    """As under `pythonw`, as a service, and after `>&-` in a shell."""
    code = CLOSED.format(closing=closing, file=str(tmp_path / "out"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == "the file"
    assert sorted(done.stdout.split("\n")) == sorted(printed.split("\n"))


def test_what_the_system_refuses_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    def refused() -> None:
        (tmp_path / "none" / "x\n.txt").write_text("")

    with pytest.raises(SystemExit) as ended:
        run.run_main(refused)
    assert ended.value.code == 2
    told = tmp_path / "none" / "x"
    assert capsys.readouterr().err == f"error: {told}\\n.txt: No such file or directory\n"


FULL = "from captioning.commands.run import run_main; run_main(lambda: print('a caption'))"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_on_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", FULL],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device\n"
