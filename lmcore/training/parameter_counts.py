"""How many parameters the model of a config has, before anything is trained."""

from __future__ import annotations

from lmcore.config import Config
from lmcore.data.places import Report
from lmcore.data.vocabulary import Vocabulary, expected_vocabulary
from lmcore.models import count_parameters


def expected_parameters(config: Config, report: Report | None = None) -> dict[str, int | bool | None]:
    """`total` and `learnable` of the config's model, built without memory: None where the vocabulary is not known
    before the text is read, an upper bound where `exact` is false.
    """
    rows = config.model.vocab_size
    vocabulary = Vocabulary(rows) if rows else expected_vocabulary(config, report)
    if vocabulary.size is None:
        return {"total": None, "learnable": None, "exact": False}
    total, learnable = count_parameters(config.model, vocabulary.size)
    return {"total": total, "learnable": learnable, "exact": vocabulary.exact}
