"""A model on disk: `config.json` and `model.safetensors`. Loading never runs code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.models.base import LanguageModel
from lmcore.models.build import empty_model
from lmcore.models.embeddings import ComputedTable

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
MODEL_TYPE = "lm-tui"


def save_model(model: LanguageModel, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` into `folder` (made if it is not there), and have them reach the
    disk.

    Weights keep their type; a tied output is stored once, as the embedding.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "model_type": MODEL_TYPE,
        "architectures": [type(model).__name__],
        "vocab_size": model.vocab_size,
        "dtype": str(model.embedding.weight.dtype).removeprefix("torch."),
        "lm": model.config.model_dump(mode="json"),
    }
    _write(folder / CONFIG_FILE, (json.dumps(values, indent=2) + "\n").encode())
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    _write(folder / WEIGHTS_FILE, save(tensors, metadata={"format": "pt"}))


def load_model(folder: Path, device: str | torch.device = "cpu") -> LanguageModel:
    """The model that `save_model` wrote, on `device`, in evaluation mode.

    Raises:
        LmError: a file is missing or damaged, or the two do not belong together.
    """
    folder = Path(folder)
    config, vocab_size = _read_config(folder / CONFIG_FILE)
    tensors = read_safetensors(folder / WEIGHTS_FILE)
    model = empty_model(config, vocab_size)
    load_weights(model, tensors, str(folder))
    return model.to(device).eval()


def load_weights(model: LanguageModel, tensors: dict[str, Tensor], source: str) -> None:
    """Put `tensors` into a model on the meta device, which then lies on the CPU in their types; `source` names them in
    errors.

    Raises:
        LmError: names or shapes are not the model's.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != given:
        name = min(name for name in wanted | given if wanted.get(name) != given.get(name))
        raise LmError(
            f"The weights in {source} do not match this model: {name} is {given.get(name, 'missing')}, "
            f"not {wanted.get(name, 'expected')}.",
            "Use another checkpoint.",
        )
    # Copies: what is read lies in a mapped file, and a file cut short later must not be able to end the process.
    model.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()}, assign=True)
    for module in model.modules():
        if isinstance(module, ComputedTable):
            module.to_empty(device="cpu")
            module.fill()
            module.to(model.embedding.weight.dtype)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, by name.

    Raises:
        LmError: it is missing or damaged.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise LmError(f"There is no {path}.", "Choose a checkpoint folder that contains its weights.") from None
    except (SafetensorError, OSError) as error:
        raise LmError(f"{path} is damaged or unreadable: {error}.", "Use another checkpoint.") from None
    return tensors


def _read_config(path: Path) -> tuple[ModelConfig, int]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return ModelConfig.model_validate(values["lm"]), int(values["vocab_size"])
    except FileNotFoundError:
        raise LmError(f"There is no {path}.", "Choose a checkpoint folder: the step-... folder of a run.") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        what = (
            "its settings are not valid" if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        )
        raise LmError(f"{path} is not a model config ({what}).", "Use another checkpoint.") from None


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
