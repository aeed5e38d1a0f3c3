"""The page in the browser: photos are dropped, captions read, corrected and exported."""
