"""How much memory and time a config will need: estimates, in closed form and from earlier runs on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmcore.config import Config, ModelConfig
from lmcore.registry import ARCHITECTURES, OPTIMIZERS
from lmcore.telemetry import Cpu, GpuReport

RUNTIME_CPU = 350 * 2**20  # PyTorch's libraries and the data in RAM
RUNTIME_GPU = 500 * 2**20  # the CUDA context and its kernels
SCALED_BY = 4  # a speed is not scaled further than this
LOGITS_CPU, LOGITS_GPU = 32 * 2**20, 256 * 2**20  # chunks of lmcore.models.loss; the logits and their gradient


@dataclass(frozen=True)
class Memory:
    """Bytes by purpose."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    runtime: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.runtime


@dataclass(frozen=True)
class Machine:
    """What a run would be given: its memory in bytes, what is taken of it now, None where not known."""

    name: str
    gpu: bool
    total: float | None
    used: float | None


def machine_for(device: str, gpus: GpuReport, cpu: Cpu) -> Machine:
    """The card or the memory that `training.device` means on this machine."""
    if gpus.gpus and device != "cpu" and device != "mps":
        index = int(device.partition(":")[2] or 0)
        gpu = next((gpu for gpu in gpus.gpus if gpu.index == index), gpus.gpus[0])
        return Machine(f"cuda:{gpu.index}", True, gpu.memory_total_bytes, gpu.memory_used_bytes)
    return Machine("this machine's memory", False, cpu.memory_total_bytes, cpu.memory_used_bytes)


def estimate_memory(config: Config, total: int, learnable: int, *, gpu: bool, vocab_size: int | None = None) -> Memory:
    """Memory at the peak of a training step.

    Weights and gradients are float32 also under autocast; averaged weights (`training.average`) are one more copy.
    Activations are what the backward pass keeps, see `activation_values`, at 4 bytes (2 for bf16 and fp16), and two
    chunks of logits: whole ones, unless `vocab_size` shows that they stay smaller.
    """
    training = config.training
    tokens = training.batch_size * config.model.block_size
    half = training.precision in ("bf16", "fp16") or (training.precision == "auto" and gpu)
    chunk = LOGITS_GPU if gpu else LOGITS_CPU
    logits = 2 * (chunk if vocab_size is None else min(chunk, 4 * tokens * vocab_size))
    copies = 1 + (training.average != "none")
    return Memory(
        weights=4.0 * total * copies,
        gradients=4.0 * learnable,
        optimizer=4.0 * learnable * OPTIMIZERS[config.optimizer.name].states,
        activations=(2 if half else 4) * tokens * activation_values(config.model) + logits,
        runtime=RUNTIME_GPU if gpu else RUNTIME_CPU,
    )


def activation_values(model: ModelConfig) -> float:
    """Numbers kept for the backward pass, per token: those of each part that the architecture has.

    With width E and MLP width F, attention with its norm and residual keeps 5 E, an MLP with its own 4 E + 2 F,
    together 17 E where F = 4 E (Korthikanti et al., 2022, eq. 2, without the scores that fused attention does not
    keep). SwiGLU keeps one F more; Euclidean attention its scores, about three times heads x T. A recurrent layer keeps
    its gates, two states and its input.
    """
    architecture = ARCHITECTURES[model.architecture]
    layer = architecture.kept_widths * model.n_embd
    if "cell" in architecture.parts:
        layer += (architecture.gates + 2) * model.hidden + model.n_embd
    if "attention" in architecture.parts:
        layer += 5 * model.n_embd + (0 if model.attention == "dot" else 3 * model.n_head * model.block_size)
    if "mlp" in architecture.parts:
        layer += 4 * model.n_embd + (3 if model.activation == "swiglu" else 2) * model.mlp_width
    return model.n_layer * layer + 2.0 * model.n_embd


@dataclass(frozen=True)
class Time:
    """Seconds, None where nothing tells; `why` says where the figure comes from."""

    seconds: float | None
    why: str


UNKNOWN = Time(None, "time unknown until a run has been trained on this machine")


@dataclass(frozen=True)
class Evidence:
    """A run of this machine, as far as it tells how long another one takes."""

    name: str
    config: dict[str, Any]
    tokens_per_second: float
    tokens_per_epoch: float | None
    parameters: int | None
    when: float


def estimate_time(config: Config, total: int | None, evidence: list[Evidence]) -> Time:
    """From the newest run with the same model, else from one of the same architecture, scaled by parameters (a token
    costs about 6 N operations).
    """
    values = config.to_dict()
    epoch = next(
        (
            run.tokens_per_epoch
            for run in _newest(evidence)
            if _same(run, values, "data", "tokenizer") and run.tokens_per_epoch
        ),
        None,
    )
    tokens = total_tokens(config, epoch)
    alike = [run for run in _newest(evidence) if _same_device(run, values)]
    same = next((run for run in alike if _same(run, values, "model")), None)
    near = next((run for run in alike if total and _near(run, config, total)), None)
    limit = config.training.max_minutes * 60 or None
    run = same or near
    if tokens is None or run is None:
        return Time(limit, "at most (training.max_minutes)") if limit else UNKNOWN
    scale = 1.0 if same else (total or 1) / (run.parameters or 1)
    seconds = tokens / run.tokens_per_second * scale
    why = f"at the speed of {run.name}" if same else f"scaled from {run.name} by the number of parameters"
    return Time(min(seconds, limit) if limit else seconds, why)


def total_tokens(config: Config, tokens_per_epoch: float | None) -> float | None:
    """Tokens that the run will see; None where that depends on a text that has not been read."""
    training = config.training
    by_steps = training.max_steps * training.batch_size * training.accumulate * config.model.block_size
    by_epochs = training.epochs * tokens_per_epoch if training.epochs and tokens_per_epoch else None
    if training.epochs and by_epochs is None:
        # Only an upper limit is known, and a corpus of any size may end the run before.
        return None
    limits = [limit for limit in (by_steps, by_epochs) if limit]
    return min(limits) if limits else None


def _newest(evidence: list[Evidence]) -> list[Evidence]:
    return sorted(evidence, key=lambda run: -run.when)


def _same(run: Evidence, values: dict[str, Any], *sections: str) -> bool:
    return all(run.config.get(section) == values[section] for section in sections)


def _near(run: Evidence, config: Config, total: int) -> bool:
    """A model of the same architecture and of a size from which this one's speed can be guessed."""
    alike = run.config.get("model", {}).get("architecture") == config.model.architecture
    return alike and run.parameters is not None and 1 / SCALED_BY <= total / run.parameters <= SCALED_BY


def _same_device(run: Evidence, values: dict[str, Any]) -> bool:
    """Computed on the same device in the same precision: else its speed says nothing."""
    theirs = run.config.get("training", {})
    return all(theirs.get(name) == values["training"][name] for name in ("device", "precision"))
