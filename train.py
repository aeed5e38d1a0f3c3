"""Train a decoder; the best epoch is kept in a model's folder."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("train")
