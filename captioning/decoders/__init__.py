"""The decoder networks, each on one screen, their steps word by word, and ensembles of them."""
