"""One module a command: its arguments, its messages, its exit codes."""
