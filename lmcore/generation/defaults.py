"""The settings that a checkpoint generates with, unless told otherwise: its `generation_config.json`."""

from __future__ import annotations

import json
from pathlib import Path

from lmcore.config import GenerationConfig
from lmcore.errors import LmError

FILE = "generation_config.json"


def save_defaults(settings: GenerationConfig, folder: Path) -> None:
    """Write the settings into a checkpoint's folder."""
    text = json.dumps(settings.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def load_defaults(folder: Path) -> GenerationConfig:
    """The settings in a checkpoint's folder; unknown names are ignored, and so is a missing file.

    Raises:
        LmError: the file is damaged, or a value is not possible.
    """
    path = folder / FILE
    if not path.is_file():
        return GenerationConfig()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return GenerationConfig.model_validate(
            {name: value for name, value in values.items() if name in GenerationConfig.model_fields}
        )
    except (ValueError, AttributeError):
        raise LmError(
            f"{path} cannot be read as generation settings.",
            "Delete it to use the defaults, or use another checkpoint.",
        ) from None
