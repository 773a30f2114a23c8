"""128 tokens after a prompt of 16 with a random GPT-2 of 124M parameters, top-k 50, fp32, beside transformers'
`generate` with the same weights.

python benchmarks/generate_benchmark.py
"""

from __future__ import annotations

import argparse

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.pairs import compare, show
from lmcore.config import GenerationConfig
from lmcore.data import Tokenizer
from lmcore.data.tokenizer.build import char_tokenizer
from lmcore.generation import TextGenerator
from lmcore.interop.huggingface import from_gpt2_state_dict

PROMPT, NEW, VOCAB = 16, 128, 50257


def letters_tokenizer() -> Tokenizer:
    """One private-use character a token: decoding is the same work as for any character vocabulary."""
    return char_tokenizer(["".join(chr(0xF0000 + i) for i in range(VOCAB - 1))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="timed texts per side")
    parser.add_argument("--new", type=int, default=NEW, help="tokens to generate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)

    peer_model = GPT2LMHeadModel(GPT2Config()).train(False)
    peer_model.generation_config.pad_token_id = 0
    model = from_gpt2_state_dict(peer_model.state_dict(), GPT2Config().n_head)
    tokenizer = letters_tokenizer()
    generator = TextGenerator(model, tokenizer)
    prompt_ids = torch.randint(1, VOCAB, (1, PROMPT))
    prompt = tokenizer.decode(prompt_ids[0].tolist())
    settings = GenerationConfig(max_new_tokens=arguments.new, top_k=50, temperature=1.0)

    def ours() -> None:
        assert sum(1 for _ in generator.generate(prompt, settings)) == arguments.new

    @torch.no_grad()
    def peer() -> None:
        peer_model.generate(
            prompt_ids, max_new_tokens=arguments.new, min_new_tokens=arguments.new, do_sample=True, top_k=50
        )

    show(
        compare("gpt2-124m generate", arguments.new, ours, peer, pairs=arguments.pairs, warmup=1),
        as_json=arguments.json,
    )


if __name__ == "__main__":
    main()
