"""From image files to arrays, from arrays to vectors and grids, and these on disk."""
