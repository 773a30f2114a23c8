"""What the commands are given: names and their completion, and options made from settings."""
