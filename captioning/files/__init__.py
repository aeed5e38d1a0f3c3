"""Files written completely or not at all, and files from strangers, read so that no code runs."""
