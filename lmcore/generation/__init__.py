"""Prompt to text: samplers, the model's context, stop texts, streaming (docs/generation.md)."""

from lmcore.generation.defaults import save_defaults
from lmcore.generation.generated_token import GeneratedToken
from lmcore.generation.generator import TextGenerator, load_generator

__all__ = ["GeneratedToken", "TextGenerator", "load_generator", "save_defaults"]
