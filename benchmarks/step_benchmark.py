"""One training step (loss, backward, clip, optimizer) beside the peer's: same model, batch and precision (fp32), random
tokens.

    python benchmarks/step_benchmark.py --nanogpt DIR --examples DIR [ROW ...]

DIR are checkouts of karpathy/nanoGPT and pytorch/examples; without them ours is timed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.pairs import compare, show
from lmcore.config import Config
from lmcore.models import build_model
from lmcore.training.objective import objective
from lmcore.training.optimizers import Parameters, build_optimizers


class Row(NamedTuple):
    """A shape that both sides have."""

    model: dict[str, Any]
    vocab_size: int
    batch_size: int
    pairs: int


def gpt(n_layer: int, n_head: int, n_embd: int, block_size: int) -> dict[str, Any]:
    return {
        "n_layer": n_layer,
        "n_head": n_head,
        "n_embd": n_embd,
        "block_size": block_size,
        "bias": True,
        "dropout": 0.0,
    }


def lstm(width: int, *, tied: bool) -> dict[str, Any]:
    dropouts = {"dropout": 0.2, "dropout_input": 0.2, "dropout_output": 0.2}
    return {
        "architecture": "lstm",
        "n_layer": 2,
        "n_embd": width,
        "block_size": 35,
        "tied": tied,
        "head_bias": True,
        **dropouts,
    }


ROWS = {
    "4x128": Row(gpt(4, 4, 128, 64), 65, 12, 40),
    "6x384": Row(gpt(6, 6, 384, 256), 65, 16, 6),
    "1x768": Row(gpt(1, 12, 768, 256), 40478, 16, 4),
    "2x200": Row(lstm(200, tied=False), 33278, 20, 10),
    "2x650": Row(lstm(650, tied=True), 33278, 20, 5),
}


def our_step(row: Row, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """What the training loop does with one batch."""
    recurrent = row.model.get("architecture") == "lstm"
    optimizer = (
        {"name": "sgd", "lr": 1.0, "grad_clip": 0.25}
        if recurrent
        else {"name": "adamw", "lr": 1e-3, "weight_decay": 0.1, "grad_clip": 1.0}
    )
    config = Config.from_dict({"model": row.model, "optimizer": optimizer})
    model = build_model(config.model, row.vocab_size, seed=0).train()
    parameters = list(model.parameters())
    optimizers = build_optimizers(
        config.optimizer, Parameters.of(model, dict(model.named_parameters())), torch.device("cpu")
    )
    state = model.init_state(row.batch_size)

    def step() -> None:
        nonlocal state
        optimizers.zero_grad()
        result = objective(model, x, y, state, config.training, ())
        state = result.state
        torch.autograd.backward(result.total)
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        nn.utils.clip_grads_with_norm_(parameters, config.optimizer.grad_clip, norm)
        optimizers.step(torch.isfinite(result.total.detach()) & torch.isfinite(norm))

    return step


def nanogpt_step(row: Row, x: torch.Tensor, y: torch.Tensor, checkout: Path) -> Callable[[], None]:
    """The step of nanoGPT's train.py."""
    module = load(checkout / "model.py")
    with contextlib.redirect_stdout(sys.stderr):  # it reports its parameter counts
        model = module.GPT(module.GPTConfig(vocab_size=row.vocab_size, **row.model)).train()
        optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu")

    def step() -> None:
        _, loss = model(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def word_language_model_step(row: Row, x: torch.Tensor, y: torch.Tensor, checkout: Path) -> Callable[[], None]:
    """The step of word_language_model's main.py, with SGD by PyTorch's optimizer; its batches are time first."""
    module = load(checkout / "word_language_model" / "model.py")
    width = row.model["n_embd"]
    model = module.RNNModel("LSTM", row.vocab_size, width, width, 2, 0.2, row.model["tied"]).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x, y = x.t().contiguous(), y.t().reshape(-1)
    hidden = model.init_hidden(row.batch_size)

    def step() -> None:
        nonlocal hidden
        optimizer.zero_grad()
        output, hidden = model(x, tuple(part.detach() for part in hidden))
        torch.autograd.backward(F.nll_loss(output, y))
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()

    return step


def load(path: Path) -> Any:
    """A peer's module, from its file."""
    spec = importlib.util.spec_from_file_location(f"peer_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"any of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--nanogpt", type=Path, metavar="DIR")
    parser.add_argument("--examples", type=Path, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=0, help="timed steps per side (default: depends on the row)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    for name in arguments.rows or ROWS:
        row = ROWS[name]
        shape = (row.batch_size, row.model["block_size"])
        x, y = (torch.randint(0, row.vocab_size, shape) for _ in range(2))
        recurrent = row.model.get("architecture") == "lstm"
        checkout, peer_step = (
            (arguments.examples, word_language_model_step) if recurrent else (arguments.nanogpt, nanogpt_step)
        )
        peer = peer_step(row, x, y, checkout) if checkout else None
        pairs = arguments.pairs or row.pairs
        show(compare(name, x.numel(), our_step(row, x, y), peer, pairs=pairs), as_json=arguments.json)


if __name__ == "__main__":
    main()
