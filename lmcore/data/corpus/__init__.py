"""Which text: catalogue, download, lookup, sources, splits, duplicates. No torch here."""
