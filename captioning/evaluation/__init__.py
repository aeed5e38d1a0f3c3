"""Scores of captions with intervals, and the report that explains them."""
