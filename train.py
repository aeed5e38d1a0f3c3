"""Train a decoder on what features.py wrote."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("train")
