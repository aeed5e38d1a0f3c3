"""Files of another project into ours: python convert.py --model model_9.h5 --tokenizer tokenizer.p

The model's folder goes to --output.
"""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("convert")
