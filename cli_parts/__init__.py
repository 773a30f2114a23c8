"""What `cli.py` prints with: tables, curves, progress and errors as plain text. Nothing here decides anything about training."""
