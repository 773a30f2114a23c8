"""The kinds of files that `model.embedding` can name. Anything else but `random` is a model on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

GLOVE_SUFFIXES = (".txt", ".vec", ".txt.gz", ".vec.gz")
ARRAY_SUFFIXES = (".safetensors", ".npz")


def is_file_name(source: str) -> bool:
    """Whether a source is a file or folder, there or not, rather than a Hub id such as `owner/model-1.5`."""
    return source.endswith(GLOVE_SUFFIXES + ARRAY_SUFFIXES) or Path(source).expanduser().exists()
