"""Photos and captions -> descriptions.txt, tokenizer.p and features.p."""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("features")
