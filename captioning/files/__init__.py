"""Files that are whole or absent, and files of others: nothing in them runs."""
