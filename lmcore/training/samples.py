"""What the model generates at this point of the run, for each prompt of the config."""

from __future__ import annotations

from collections.abc import Callable

from lmcore.config import GenerationConfig
from lmcore.data import Tokenizer
from lmcore.generation import TextGenerator
from lmcore.models import LanguageModel


def generate_samples(
    model: LanguageModel, tokenizer: Tokenizer, settings: GenerationConfig, cancelled: Callable[[], bool]
) -> dict[str, str]:
    """A continuation of each of `settings.prompts`, by prompt; drawn from its own generator, so the random stream of
    training is not touched.

    Raises:
        LmError: the model's output is not a number.
    """
    if not settings.prompts:
        return {}
    generator = TextGenerator(model, tokenizer, settings)
    return {
        prompt: "".join(piece.text for piece in generator.generate(prompt, settings, cancelled=cancelled))
        for prompt in settings.prompts
    }
