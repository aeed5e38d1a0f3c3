"""The whole pipeline on rendered scenes."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("demo")
