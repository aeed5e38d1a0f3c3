"""Photos become arrays, arrays become vectors and grids; and the store of these."""
