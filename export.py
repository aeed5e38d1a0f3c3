"""Write a trained model as ONNX graphs: python export.py models/trained"""

from captioning.commands.run import run_command

if __name__ == "__main__":
    run_command("export")
