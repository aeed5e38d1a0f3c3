"""A page on this machine alone: drop photos, read, correct and export their captions."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("app")
