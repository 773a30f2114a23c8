"""Output layer and cross-entropy in one, a chunk of rows at a time: the logits of a large vocabulary are never in
memory all at once.

For a hidden state h and its target t, with logits z = W h + b,

    loss = log(sum_v exp z_v) - z_t            d loss / d z = softmax(z) - onehot(t)

The second needs only what the first has computed, so the gradients of h, W and b are made in the forward pass, chunk by
chunk, and the logits are neither kept nor computed twice. Backward only multiplies by the gradient that arrives (1, or
a loss scale).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lmcore.measures import IGNORED

CHUNK_BYTES = 32 * 2**20
CHUNK_BYTES_GPU = 256 * 2**20  # a GPU needs larger matrices to be busy


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy, in nats per scored target, of `softmax(hidden @ weight.T + bias)`.

    Equal to `F.cross_entropy` of the logits, except that it is 0 where that is 0/0 (no target is scored). Under
    autocast the matrix products take the autocast type; softmax, loss and sums of gradients are float32.

    Args:
        hidden: [..., E].
        weight: [V, E].
        bias: [V] or None.
        targets: [...], int64; -100 is not scored.
        label_smoothing: this share of the target is spread evenly over the vocabulary (Szegedy et al., 2016).
    """
    learns = torch.is_grad_enabled()
    wanted = (
        learns and hidden.requires_grad,
        learns and weight.requires_grad,
        learns and bias is not None and bias.requires_grad,
    )
    arguments = (hidden.reshape(-1, hidden.shape[-1]), weight, bias, targets.reshape(-1), label_smoothing, wanted)
    loss: Tensor = _LinearCrossEntropy.apply(*arguments)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def linear_score(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of each target in nats, and whether it was the likeliest token.

    Shapes as in `linear_cross_entropy`. Returns float32 and bool of the targets' shape; where a target is -100: 0 and
    False.
    """
    rows = _operand(hidden.reshape(-1, hidden.shape[-1]))
    flat = targets.reshape(-1)
    nll = torch.empty(flat.shape, dtype=torch.float32, device=flat.device)
    correct = torch.empty(flat.shape, dtype=torch.bool, device=flat.device)
    with torch.autocast(rows.device.type, enabled=False):
        weight_t = weight.to(rows.dtype).t()
        for part in _chunks(rows, weight.shape[0]):
            logits = (
                rows[part] @ weight_t if bias is None else torch.addmm(bias.to(rows.dtype), rows[part], weight_t)
            )  # [n, V]
            target = flat[part].clamp(min=0)
            log_probs = torch.log_softmax(logits, -1, dtype=_exact(rows.dtype))
            nll[part] = -log_probs.gather(1, target[:, None])[:, 0].float()
            correct[part] = logits.argmax(-1) == target
    scored = flat != IGNORED
    return nll.where(scored, 0.0).view(targets.shape), (correct & scored).view(targets.shape)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        label_smoothing: float,
        wanted: tuple[bool, bool, bool],
    ) -> Tensor:
        rows = _operand(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            loss, *gradients = _loss_and_gradients(rows, weight, bias, targets, label_smoothing, wanted)
        ctx.save_for_backward(*gradients)
        ctx.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        # On a CPU the comparison costs nothing and saves a pass over the weight's gradient; on a GPU it would wait for
        # the device.
        is_one = grad.device.type == "cpu" and not torch.compiler.is_compiling() and bool(grad == 1)
        scaled = (saved if saved is None or is_one else saved * grad for saved in ctx.saved_tensors)
        return *(g if g is None else g.to(dtype) for g, dtype in zip(scaled, ctx.dtypes, strict=True)), None, None, None


def _loss_and_gradients(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    label_smoothing: float,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The loss, and the wanted gradients in float32 (float64 for float64), of rows [N, E] in the type that products
    take.
    """
    compute = rows.dtype
    exact = _exact(compute)
    table = weight.to(compute)  # [V, E]
    offset = None if bias is None else bias.to(compute)
    scored = (targets != IGNORED).to(exact)  # [N]
    share = scored / scored.sum().clamp(min=1)  # each row's weight in the mean
    picked = targets.clamp(min=0)[:, None]

    want_hidden, want_weight, want_bias = wanted
    grad_hidden = torch.empty(rows.shape, dtype=exact, device=rows.device) if want_hidden else None
    grad_weight: Tensor | None = None
    grad_bias: Tensor | None = None
    loss = torch.zeros((), dtype=exact, device=rows.device)
    # In float16 a row divided by the number of rows sinks below the smallest normal number: there the division comes
    # after the sum.
    divide_late = compute == torch.float16
    row_weight = (scored if divide_late else share)[:, None]

    for part in _chunks(rows, weight.shape[0]):
        h = rows[part]  # [n, E]
        logits = h @ table.t() if offset is None else torch.addmm(offset, h, table.t())  # [n, V]
        log_probs = torch.log_softmax(logits, -1, dtype=exact)
        del logits
        row_loss = -log_probs.gather(1, picked[part])[:, 0]
        if label_smoothing:
            row_loss = (1 - label_smoothing) * row_loss - label_smoothing * log_probs.mean(-1)
        loss += (row_loss * share[part]).sum()
        if not any(wanted):
            continue
        slope = log_probs.exp_()  # d loss / d logits, before the row's weight
        if label_smoothing:
            slope -= label_smoothing / weight.shape[0]
        slope.scatter_add_(1, picked[part], slope.new_full((1, 1), label_smoothing - 1).expand(h.shape[0], 1))
        if want_bias:
            step = row_weight[part, 0] @ slope
            grad_bias = step if grad_bias is None else grad_bias.add_(step)
        slope = slope.to(compute)
        if grad_hidden is not None:
            torch.mul(slope @ table, share[part, None], out=grad_hidden[part])
        if want_weight:
            weighted = (h * row_weight[part]).to(compute)
            if grad_weight is None:
                grad_weight = (slope.t() @ weighted).to(exact)
            elif compute == exact:
                grad_weight.addmm_(slope.t(), weighted)
            else:
                grad_weight += slope.t() @ weighted
    if divide_late:
        scale = share.max()
        grad_weight = None if grad_weight is None else grad_weight.mul_(scale)
        grad_bias = None if grad_bias is None else grad_bias.mul_(scale)
    return loss, grad_hidden, grad_weight, grad_bias


def _operand(rows: Tensor) -> Tensor:
    """The rows in the type that matrix products take here: autocast's where it is on, else their own."""
    kind = rows.device.type
    return rows.to(torch.get_autocast_dtype(kind)) if kind != "meta" and torch.is_autocast_enabled(kind) else rows


def _exact(compute: torch.dtype) -> torch.dtype:
    return torch.float64 if compute == torch.float64 else torch.float32


def _chunks(rows: Tensor, vocab_size: int) -> list[slice]:
    """Slices of the rows whose float32 logits fill a chunk."""
    budget = CHUNK_BYTES_GPU if rows.device.type == "cuda" else CHUNK_BYTES
    size = max(1, budget // (4 * vocab_size))
    return [slice(start, start + size) for start in range(0, rows.shape[0], size)]
