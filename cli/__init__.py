"""The command line: one module per command, and what they share. Nothing heavy is imported before a command runs."""
