"""Score a model's captions of photos against their references."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("evaluate")
