"""What the commands print with: console, tables, curves, progress, errors."""
