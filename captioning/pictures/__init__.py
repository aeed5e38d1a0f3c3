"""Figures: curves, networks, captions under photos, attention."""
