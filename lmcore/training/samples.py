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
    """A continuation of each of `settings.prompts`, by prompt; the same that `lm generate` gives for that prompt alone.
    Each draws from its own random stream, so that the stream of the run is not touched.

    Args:
        model: in training or evaluation mode, and left in it.
        tokenizer: the model's own.
        settings: the prompts, and how to continue them.
        cancelled: called before each token; the texts end once it returns True.

    Raises:
        LmError: the model's output is not finite.
    """
    if not settings.prompts:
        return {}
    generator = TextGenerator(model, tokenizer, settings)
    return {
        prompt: "".join(token.text for token in generator.generate(prompt, settings, cancelled=cancelled))
        for prompt in settings.prompts
    }
