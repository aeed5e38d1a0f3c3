"""The page on this machine: photos in, captions read, corrected and exported."""
