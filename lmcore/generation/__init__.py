"""Prompt to text: samplers, the model's context, stop texts, streaming."""

from lmcore.generation.generator import TextGenerator, load_generator
from lmcore.generation.stopping import Piece

__all__ = ["Piece", "TextGenerator", "load_generator"]
