"""One step after the other: search, captioner, a trained model with its folder."""
