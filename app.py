"""A page in the browser, on this machine alone: drop photos, read, correct, export captions."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("app")
