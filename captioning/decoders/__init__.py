"""The networks that say words, each on one screen, and several together."""
