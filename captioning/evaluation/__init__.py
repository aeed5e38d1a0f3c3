"""Scores, and what explains them."""
