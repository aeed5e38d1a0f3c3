"""python -m captioning COMMAND ...: the same as the console command `image-captions`."""

from captioning.commands.run import console

if __name__ == "__main__":
    console()
