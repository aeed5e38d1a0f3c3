"""From a trained model's folder to captions: models, their descriptions, search, captioner."""
