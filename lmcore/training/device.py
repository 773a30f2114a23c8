"""Where the work is done and in which precision: chosen for the machine, overridable in the config."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmcore.config import TrainingConfig
from lmcore.errors import LmError

# torch.compile takes about a minute; below this many steps it is not repaid.
COMPILE_REPAID_AFTER = 2000
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick_precision(name: str, device: torch.device) -> str:
    """`fp32`, `bf16` or `fp16`; `auto` is bf16 where the GPU computes in it, fp16 on older GPUs, fp32 elsewhere."""
    if name != "auto":
        return name
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Run matrix products in `precision`; the weights stay float32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


def gradient_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler | None:
    """For fp16, whose smallest number is 6e-8: scales the loss up so that small gradients do not vanish (Micikevicius
    et al. 2018).
    """
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def pays_to_compile(training: TrainingConfig, device: torch.device, total_steps: int | None) -> bool:
    """Whether to use `torch.compile`: as asked, or for `auto` on CUDA when the run is long enough."""
    if training.compile != "auto":
        return training.compile == "on"
    return device.type == "cuda" and (total_steps is None or total_steps >= COMPILE_REPAID_AFTER)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """`array` as a tensor there; to a GPU it is copied while the program goes on."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@contextlib.contextmanager
def computing_on(device: torch.device, threads: int, seed: int) -> Iterator[None]:
    """Random numbers from `seed`, `threads` CPU threads (0: PyTorch's choice) and TF32 on CUDA, while entered.

    The caller's random stream and thread count are as before afterwards.
    """
    before = torch.get_num_threads()
    tf32 = torch.get_float32_matmul_precision()
    with torch.random.fork_rng(devices=_index(device)):
        torch.manual_seed(seed)
        if threads:
            torch.set_num_threads(threads)
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.set_float32_matmul_precision(tf32)


@contextlib.contextmanager
def random_stream_kept(device: torch.device) -> Iterator[None]:
    """Whatever is drawn while entered, the random stream afterwards goes on as if nothing had been."""
    with torch.random.fork_rng(devices=_index(device)):
        yield


class RandomStreams:
    """PyTorch's generators, of the CPU and of the device, as a part of a checkpoint."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def state_dict(self) -> dict[str, Any]:
        """Their states, by device type."""
        states = {"cpu": torch.get_rng_state()}
        if self._device.type != "cpu":
            module = torch.get_device_module(self._device)
            states[self._device.type] = module.get_rng_state(*_index(self._device))
        return states

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; a device that the state was not taken on keeps its own stream."""
        torch.set_rng_state(state["cpu"].cpu())
        if self._device.type != "cpu" and self._device.type in state:
            module = torch.get_device_module(self._device)
            module.set_rng_state(state[self._device.type].cpu(), *_index(self._device))


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given; a CPU is never behind."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(*_index(device))


@contextlib.contextmanager
def memory_explained() -> Iterator[None]:
    """Turn running out of memory into an error that says which settings to lower.

    Raises:
        LmError: the device, or the machine, has no memory left.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory() from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise _out_of_memory() from error


def _out_of_memory() -> LmError:
    return LmError(
        "Out of memory.",
        "Lower training.batch_size (and raise training.accumulate by the same factor to keep the same step), "
        "model.block_size, model.n_embd or model.n_layer. The checkpoints of this run are kept.",
    )


def _index(device: torch.device) -> list[int]:
    """The index of a CUDA device; nothing for other devices, of which there is only one."""
    if device.type != "cuda":
        return []
    return [device.index if device.index is not None else torch.cuda.current_device()]
