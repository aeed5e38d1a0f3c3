"""Captions, words and splits; reading datasets, and what is wrong with them."""
