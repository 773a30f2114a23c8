"""Prompt to text: samplers, the model's context, stop texts, streaming."""

from lmcore.generation.stopping import Piece
from lmcore.generation.writer import Writer, load_writer

__all__ = ["Piece", "Writer", "load_writer"]
