"""Figures for people: curves, layers, captions below photos, attention, explanations."""
