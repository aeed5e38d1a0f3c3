"""Captions written out: row formats, files that can be resumed, sidecars, described copies."""
