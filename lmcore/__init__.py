"""The training core and the laboratory of `lm`. Importing it imports nothing slow."""
