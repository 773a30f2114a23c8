"""Text to ids and back: base, build, select, detokenize. No torch here."""
