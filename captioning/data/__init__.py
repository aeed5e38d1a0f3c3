"""Captions, tokens and splits: reading datasets, checking them, preparing them for training."""
