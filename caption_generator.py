"""Caption photos: python caption_generator.py -i photo.jpg"""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("caption")
