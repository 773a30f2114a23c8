"""The random numbers of a sample: a stream of its own for every seed, prompt and sample."""

from __future__ import annotations

import hashlib

import torch


def random_stream(seed: int, prompt: str, sample: int) -> torch.Generator:
    """The generator that sample number `sample` of `prompt` draws from, on the CPU.

    It depends on nothing else, so a text is the same whether it is generated alone or in company. With one stream for
    several prompts, all of them would draw the same random numbers, and small models, which soon forget their prompts,
    would end them alike.
    """
    what = f"{seed}\0{sample}\0{prompt}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(what, digest_size=8).digest(), "little")
    return torch.Generator().manual_seed(number % 2**63)
