"""Captions written down: rows, files that grow, sidecars, copies that carry them."""
