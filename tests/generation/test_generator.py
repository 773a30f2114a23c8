"""Generation: the same text as without a cache, streamed, seeded, stopped and cancelled as promised."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from lmcore.config import GenerationConfig, ModelConfig
from lmcore.data import Tokenizer
from lmcore.data.tokenizer.build import bpe_tokenizer, char_tokenizer, word_tokenizer
from lmcore.errors import LmError, UsageError
from lmcore.generation import GeneratedToken, TextGenerator, load_generator
from lmcore.interop.huggingface import from_gpt2_state_dict
from lmcore.models import LanguageModel, build_model, save_model
from lmcore.presets import load_preset
from lmcore.training.samples import generate_samples

LETTERS = "abcdefghijklmnopqrstuvwxyz .,\n"
BLOCK = 16
PROMPTS = ("he", "she", "it is", "the castle", "the castle.")
TRANSFORMERS = [{"position": position} for position in ("learned", "sinusoidal", "rotary", "none")]
ATTENTIONS = [{"attention": attention} for attention in ("euclidean", "euclidean_published", "euclidean_squared")]
RECURRENT = [
    {"architecture": architecture, "n_hidden": 24, "projection": "relu"} for architecture in ("rnn", "gru", "lstm")
]


def small_model(vocab_size: int, **values: object) -> LanguageModel:
    settings = {"n_layer": 2, "n_embd": 16, "n_head": 2, "block_size": BLOCK, "dropout": 0.5, "tied": False} | values
    model = build_model(ModelConfig.model_validate(settings), vocab_size, seed=1)
    # Larger than they are initialized, so that the likeliest token depends on the context.
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


@pytest.fixture(scope="module")
def characters() -> Tokenizer:
    return char_tokenizer([LETTERS])


@pytest.fixture(scope="module")
def generator(characters: Tokenizer) -> TextGenerator:
    return TextGenerator(small_model(characters.vocab_size), characters)


def text_of(tokens: list[GeneratedToken], sample: int = 0) -> str:
    return "".join(token.text for token in tokens if token.sample == sample)


def greedy_without_cache(model: LanguageModel, ids: list[int], new: int, window: object) -> list[int]:
    """The definition: read everything that `window(position)` says again for each token, take the likeliest."""
    ids = list(ids)
    model.eval()
    for _ in range(new):
        with torch.no_grad():
            hidden, _ = model(torch.tensor([ids[window(len(ids)) :]]))  # type: ignore[operator]
            ids.append(int(model.logits(hidden[:, -1]).argmax()))
    return ids[-new:]


@pytest.mark.parametrize("values", [*TRANSFORMERS, *ATTENTIONS, *RECURRENT], ids=str)
def test_the_cache_changes_nothing(values: dict[str, object], characters: Tokenizer) -> None:
    model = small_model(characters.vocab_size, **values)
    tokens = list(TextGenerator(model, characters).generate("hello", GenerationConfig(greedy=True, max_new_tokens=11)))
    expected = greedy_without_cache(model, characters.encode("hello"), 11, lambda _: 0)
    assert [token.token_id for token in tokens] == expected
    assert len(set(expected)) > 1
    ids = torch.tensor([characters.encode("hello") + expected])
    assert [token.nll for token in tokens] == pytest.approx(
        model.score(ids[:, :-1], ids[:, 1:]).nll[0, 4:].tolist(), rel=1e-3, abs=1e-5
    )


@pytest.mark.parametrize("values", TRANSFORMERS, ids=str)
def test_past_the_context_the_newest_three_quarters_are_read_again(
    values: dict[str, object], characters: Tokenizer
) -> None:
    model = small_model(characters.vocab_size, **values)
    tokens = list(TextGenerator(model, characters).generate("hello", GenerationConfig(greedy=True, max_new_tokens=60)))

    def window(length: int) -> int:
        """Where the context starts: it fills up to 16 tokens, then goes on with 12, so it moves by 5 each 5 tokens."""
        return 0 if length <= BLOCK else ((length - BLOCK - 1) // 5 + 1) * 5

    assert [token.token_id for token in tokens] == greedy_without_cache(model, characters.encode("hello"), 60, window)


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_the_smallest_contexts_slide_too(block_size: int, characters: Tokenizer) -> None:
    model = small_model(characters.vocab_size, block_size=block_size)
    assert len(list(TextGenerator(model, characters).generate("hello", GenerationConfig(max_new_tokens=9)))) == 9


def test_a_prompt_longer_than_the_context_keeps_its_end(generator: TextGenerator) -> None:
    settings = GenerationConfig(greedy=True, max_new_tokens=1)
    end = "the end of it al"
    assert len(end) == BLOCK
    long = list(generator.generate("something else came before " + end, settings))
    assert [token.token_id for token in long] == [token.token_id for token in generator.generate(end, settings)]
    assert any(
        "more than the context of 16" in notice for notice in generator.notices("something else came before " + end)
    )
    assert generator.notices(end) == []


def test_the_greedy_text_is_that_of_transformers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    peer = GPT2LMHeadModel(
        GPT2Config(vocab_size=300, n_layer=2, n_embd=32, n_head=4, n_positions=64, initializer_range=0.3)
    ).train(False)
    tokenizer = bpe_tokenizer(["some text to count pairs in, some more text"], vocab_size=280)
    model = from_gpt2_state_dict(peer.state_dict(), 4)
    prompt = tokenizer.encode("some text")
    output = peer.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt)),
        max_new_tokens=30,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=None,
        suppress_tokens=[0, *range(tokenizer.vocab_size, 300)],
    )
    expected = output[0, len(prompt) :].tolist()
    ours = [
        token.token_id
        for token in ending_nowhere(model, tokenizer).generate(
            "some text", GenerationConfig(greedy=True, max_new_tokens=30)
        )
    ]
    assert ours == expected
    assert len(set(expected)) > 5


def ending_nowhere(model: LanguageModel, tokenizer: Tokenizer) -> TextGenerator:
    """A generator for which token 0 is padding, so that it is never drawn and no text ends early."""
    tokenizer.pad_id, tokenizer.eos_id = tokenizer.eos_id, None
    return TextGenerator(model, tokenizer)


class TestSeeds:
    settings = GenerationConfig(max_new_tokens=40, seed=7, temperature=1.5)

    def test_a_sample_is_the_same_alone_and_among_others(self, generator: TextGenerator) -> None:
        together = list(generator.generate("he", self.settings, num_samples=11))
        for count in (1, 4, 9):
            fewer = list(generator.generate("he", self.settings, num_samples=count))
            for sample in range(count):
                assert text_of(fewer, sample) == text_of(together, sample)
        assert len({text_of(together, sample) for sample in range(11)}) == 11

    def test_every_prompt_seed_and_sample_draws_other_random_numbers(self, characters: Tokenizer) -> None:
        generator = TextGenerator(ForgetfulModel(characters.vocab_size), characters)

        def text(prompt: str, seed: int, sample: int) -> str:
            settings = GenerationConfig(seed=seed, max_new_tokens=20, temperature=1)
            return text_of(list(generator.generate(prompt, settings, num_samples=sample + 1)), sample)

        drawn = [text(prompt, seed, sample) for prompt in PROMPTS for seed in (0, 1) for sample in (0, 1)]
        assert len(set(drawn)) == len(drawn)
        assert len({text[-5:] for text in drawn}) == len(drawn)

    def test_a_prompt_is_continued_alike_alone_and_with_the_other_prompts_of_a_run(
        self, generator: TextGenerator
    ) -> None:
        settings = self.settings.model_copy(update={"prompts": PROMPTS})
        texts = generate_samples(generator.model, generator.tokenizer, settings, lambda: False)
        assert texts == {prompt: text_of(list(generator.generate(prompt, self.settings))) for prompt in PROMPTS}

    def test_the_global_random_stream_is_not_touched(self, generator: TextGenerator) -> None:
        before = torch.get_rng_state()
        list(generator.generate("he", self.settings))
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_seed_of_any_size(self, generator: TextGenerator) -> None:
        assert list(generator.generate("he", GenerationConfig(seed=2**80, max_new_tokens=3)))


class TestGeneratedTokens:
    def test_probabilities_are_the_models_own_at_temperature_one(
        self, generator: TextGenerator, characters: Tokenizer
    ) -> None:
        settings = GenerationConfig(max_new_tokens=10, temperature=3, top_k=5, repetition_penalty=1.5)
        tokens = list(generator.generate("hello", settings, alternatives=4))
        ids = characters.encode("hello") + [token.token_id for token in tokens]
        score = generator.model.score(torch.tensor([ids[:-1]]), torch.tensor([ids[1:]]))
        assert [token.nll for token in tokens] == pytest.approx(score.nll[0, 4:].tolist(), rel=1e-4)
        for token in tokens:
            assert token.probability == pytest.approx(math.exp(-token.nll))
            probabilities = [probability for _, probability in token.alternatives]
            assert len(probabilities) == 4
            assert probabilities == sorted(probabilities, reverse=True)

    def test_the_likeliest_alternative_is_what_greedy_chooses(self, generator: TextGenerator) -> None:
        for token in generator.generate("hello", GenerationConfig(greedy=True, max_new_tokens=10), alternatives=2):
            text, probability = token.alternatives[0]
            assert text == token.text
            assert probability == pytest.approx(token.probability)

    def test_characters_of_several_tokens_come_whole(self) -> None:
        tokenizer = bpe_tokenizer(["abc"], vocab_size=257)
        wanted = "né 🙂 ж"
        generator = TextGenerator(ReciteModel(tokenizer.encode("x" + wanted), tokenizer.vocab_size), tokenizer)
        texts = [
            token.text
            for token in generator.generate("x", GenerationConfig(greedy=True, max_new_tokens=len(wanted.encode())))
        ]
        assert "".join(texts) == wanted
        assert "🙂" in texts

    def test_a_character_cut_off_at_the_end_is_shown_as_such(self) -> None:
        tokenizer = bpe_tokenizer(["abc"], vocab_size=257)
        generator = TextGenerator(ReciteModel(tokenizer.encode("x🙂"), tokenizer.vocab_size), tokenizer)
        assert text_of(list(generator.generate("x", GenerationConfig(greedy=True, max_new_tokens=2)))) == "�"


class ForgetfulModel(LanguageModel):
    """All tokens are equally likely, whatever it reads, so a text shows nothing but the random numbers."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__(ModelConfig(architecture="lstm", n_embd=4, n_layer=1), vocab_size, width=4)

    def forward(self, ids: Tensor, state: object = None) -> tuple[Tensor, object]:
        return torch.zeros(*ids.shape, 4), state

    def logits(self, hidden: Tensor) -> Tensor:
        return torch.zeros(hidden.shape[0], self.vocab_size)

    def init_state(self, batch_size: int) -> None:
        return None

    def init_cache(self, batch_size: int, length: int) -> None:
        return None

    def layer_groups(self) -> list[list[torch.nn.Parameter]]:
        return []


class ReciteModel(LanguageModel):
    """Recites `script`, whatever it reads: token i + 1 follows when i tokens have been read."""

    def __init__(self, script: list[int], vocab_size: int) -> None:
        super().__init__(ModelConfig(architecture="lstm", n_embd=4, n_layer=1), vocab_size, width=4)
        self.script = script
        self.read = 0

    def forward(self, ids: Tensor, state: object = None) -> tuple[Tensor, object]:
        self.read += ids.shape[1]
        return torch.zeros(*ids.shape, 4), state

    def logits(self, hidden: Tensor) -> Tensor:
        logits = torch.zeros(hidden.shape[0], self.vocab_size)
        logits[:, self.script[self.read % len(self.script)]] = 30.0
        return logits

    def init_state(self, batch_size: int) -> None:
        self.read = 0

    def init_cache(self, batch_size: int, length: int) -> None:
        self.read = 0

    def layer_groups(self) -> list[list[torch.nn.Parameter]]:
        return []


class TestEnds:
    def test_a_stop_text_across_tokens_is_never_shown(self, characters: Tokenizer) -> None:
        model = ReciteModel(characters.encode("go on and stop here"), characters.vocab_size)
        settings = GenerationConfig(greedy=True, stop=("stop",))
        assert text_of(list(TextGenerator(model, characters).generate("go", settings))) == " on and "
        assert model.read < 19

    def test_the_end_of_text_token_ends_a_sample(self) -> None:
        tokenizer = bpe_tokenizer(["abc"], vocab_size=257)
        assert tokenizer.eos_id is not None
        model = ReciteModel(
            [*tokenizer.encode("ab"), tokenizer.eos_id, *tokenizer.encode("never")], tokenizer.vocab_size
        )
        tokens = list(TextGenerator(model, tokenizer).generate("a", GenerationConfig(greedy=True)))
        assert [token.text for token in tokens] == ["b", ""]
        assert tokens[-1].token_id == tokenizer.eos_id

    def test_the_end_of_a_line_of_words_ends_nothing(self) -> None:
        tokenizer = word_tokenizer(["the cat sat\non the mat\n"])
        model = ReciteModel(tokenizer.encode("the cat sat\non the mat\n"), tokenizer.vocab_size)
        text = text_of(
            list(TextGenerator(model, tokenizer).generate("the", GenerationConfig(greedy=True, max_new_tokens=6)))
        )
        assert text == " cat sat\non the mat"

    @pytest.mark.parametrize("kind", ["char", "word", "bpe", "gpt2-like"])
    def test_words_are_counted_as_a_reader_counts_them(self, kind: str) -> None:
        text = 'Harry looked at the old  castle, "Oh no," he said\nand couldn\'t go on.'
        tokenizer = {
            "char": lambda: char_tokenizer([text]),
            "word": lambda: word_tokenizer([text.replace("  ", " ")]),
            "bpe": lambda: bpe_tokenizer([text], vocab_size=257),
            "gpt2-like": lambda: bpe_tokenizer([text] * 50, vocab_size=300),
        }[kind]()
        for words in (1, 2, 4, 7):
            model = ReciteModel(tokenizer.encode(text), tokenizer.vocab_size)
            settings = GenerationConfig(greedy=True, max_new_tokens=0, max_new_words=words)
            generated = text_of(list(TextGenerator(model, tokenizer).generate("Harry looked at", settings)))
            assert generated.split() == text.split()[3 : 3 + words]
            assert not generated[-1].isspace()
            assert model.read <= len(tokenizer.encode(" ".join(text.split()[: 4 + words]))) + 2

    def test_the_rest_of_the_prompts_word_is_not_counted(self, characters: Tokenizer) -> None:
        model = ReciteModel(characters.encode("somewhere over there"), characters.vocab_size)
        settings = GenerationConfig(greedy=True, max_new_tokens=0, max_new_words=1)
        assert text_of(list(TextGenerator(model, characters).generate("some", settings))) == "where over"

    def test_the_nearer_of_two_limits_ends_the_text(self, characters: Tokenizer) -> None:
        script = characters.encode("one two three four")
        texts = []
        for tokens, words in ((5, 3), (100, 2)):
            settings = GenerationConfig(greedy=True, max_new_tokens=tokens, max_new_words=words)
            model = ReciteModel(script, characters.vocab_size)
            texts.append(text_of(list(TextGenerator(model, characters).generate("one", settings))))
        assert texts == [" two ", " two three"]

    def test_a_text_without_white_space_ends_too(self, characters: Tokenizer) -> None:
        model = ReciteModel(characters.encode("aaaa"), characters.vocab_size)
        settings = GenerationConfig(greedy=True, max_new_tokens=0, max_new_words=2)
        assert text_of(list(TextGenerator(model, characters).generate("a", settings))) == "a" * 80

    def test_a_stop_text_and_a_limit_in_words_together(self, characters: Tokenizer) -> None:
        script = characters.encode("go on and on.\nstop here")
        texts = []
        for words in (2, 3, 9):
            settings = GenerationConfig(greedy=True, max_new_tokens=0, max_new_words=words, stop=(".\n", "and on?"))
            model = ReciteModel(script, characters.vocab_size)
            texts.append(text_of(list(TextGenerator(model, characters).generate("go", settings))))
        assert texts == [" on and", " on and on.", " on and on"]

    def test_the_novel_presets_generate_fifty_words(self) -> None:
        settings = load_preset("novel-rnn").config.generation
        tokenizer = word_tokenizer(["harry looked at the old castle and hermione said that ron was not there\n"])
        generator = TextGenerator(small_model(tokenizer.vocab_size, architecture="lstm"), tokenizer)
        texts = generate_samples(generator.model, tokenizer, settings, lambda: False)
        assert len(texts) == 5
        assert {len(text.split()) for text in texts.values()} == {50}

    def test_cancelling_stops_the_computation(self, characters: Tokenizer) -> None:
        model = ReciteModel(characters.encode("abcdefghij"), characters.vocab_size)
        seen: list[str] = []
        settings = GenerationConfig(greedy=True, max_new_tokens=1000)
        seen.extend(
            token.text
            for token in TextGenerator(model, characters).generate("a", settings, cancelled=lambda: len(seen) == 3)
        )
        assert seen == ["b", "c", "d"]
        assert model.read == 3

    def test_nothing_is_computed_when_cancelled_beforehand(self, characters: Tokenizer) -> None:
        model = ReciteModel(characters.encode("abc"), characters.vocab_size)
        assert list(TextGenerator(model, characters).generate("a", GenerationConfig(), cancelled=lambda: True)) == []
        assert model.read == 0

    def test_an_abandoned_text_leaves_the_model_in_training_mode(self, generator: TextGenerator) -> None:
        generator.model.train()
        tokens = generator.generate("a", GenerationConfig())
        next(tokens)
        assert not torch.is_inference_mode_enabled()
        tokens.close()  # type: ignore[attr-defined]
        assert generator.model.training
        generator.model.eval()


class TestWhatIsNeverGenerated:
    def test_padding_and_rows_beyond_the_vocabulary(self) -> None:
        tokenizer = bpe_tokenizer(["abc"], vocab_size=260, special_tokens=("<pad>", "</s>"))
        model = small_model(tokenizer.vocab_size + 50)
        weight = model.head.weight
        assert weight is not None
        with torch.no_grad():
            weight[tokenizer.vocab_size :] *= 50
        tokens = list(
            TextGenerator(model, tokenizer).generate(
                "a", GenerationConfig(max_new_tokens=300, temperature=100.0), num_samples=3, alternatives=5
            )
        )
        assert all(0 < token.token_id < tokenizer.vocab_size for token in tokens)
        assert all("<pad>" not in text for token in tokens for text, _ in token.alternatives)

    def test_no_ngram_comes_twice(self, generator: TextGenerator, characters: Tokenizer) -> None:
        settings = GenerationConfig(greedy=True, no_repeat_ngram=2, max_new_tokens=100)
        ids = characters.encode("he") + [token.token_id for token in generator.generate("he", settings)]
        pairs = list(itertools.pairwise(ids))
        assert len(set(pairs)) == len(pairs)


class TestPrompts:
    def test_an_unknown_word_is_named(self) -> None:
        tokenizer = word_tokenizer(["the cat sat\n"])
        generator = TextGenerator(small_model(tokenizer.vocab_size, architecture="lstm"), tokenizer)
        (notice,) = generator.notices("the hippogriff sat")
        assert "'hippogriff'" in notice
        assert "<unk>" in notice
        assert list(generator.generate("the hippogriff sat", GenerationConfig(max_new_tokens=2)))

    @pytest.mark.parametrize("kind", ["char", "word", "bpe", "no newline"])
    def test_an_empty_prompt_starts_a_text(self, kind: str) -> None:
        tokenizer = {
            "char": lambda: char_tokenizer([LETTERS]),
            "word": lambda: word_tokenizer(["the cat sat\n"]),
            "bpe": lambda: bpe_tokenizer(["abc"], vocab_size=257),
            "no newline": lambda: char_tokenizer(["abc"]),
        }[kind]()
        generator = TextGenerator(small_model(tokenizer.vocab_size), tokenizer)
        assert list(generator.generate("", GenerationConfig(max_new_tokens=5)))
        assert any("empty" in notice for notice in generator.notices(""))

    def test_an_empty_prompt_is_a_line_break_where_a_text_has_no_end(self, generator: TextGenerator) -> None:
        settings = GenerationConfig(greedy=True, max_new_tokens=10)
        assert text_of(list(generator.generate("", settings))) == text_of(list(generator.generate("\n", settings)))

    def test_no_sample_is_refused(self, generator: TextGenerator) -> None:
        with pytest.raises(UsageError, match="0 samples"):
            generator.generate("a", GenerationConfig(), num_samples=0)

    def test_broken_weights_are_said(self, characters: Tokenizer) -> None:
        model = small_model(characters.vocab_size)
        with torch.no_grad():
            model.embedding.weight[3, 3] = math.nan
        with pytest.raises(LmError, match="not a finite number"):
            list(TextGenerator(model, characters).generate("a", GenerationConfig()))


class TestLoading:
    @pytest.fixture
    def checkpoint(self, generator: TextGenerator, tmp_path: Path) -> Path:
        folder = tmp_path / "step-00000040"
        save_model(generator.model, folder)
        generator.tokenizer.save(folder / "tokenizer.json")
        settings = GenerationConfig(temperature=1.25, top_k=3, prompts=("he",)).model_dump(mode="json")
        (folder / "generation_config.json").write_text(json.dumps({**settings, "transformers_version": "5"}))
        return folder

    def test_everything_comes_from_the_folder(self, checkpoint: Path, generator: TextGenerator) -> None:
        loaded = load_generator(checkpoint, "cpu")
        assert (loaded.step, loaded.folder) == (40, checkpoint)
        assert loaded.defaults == GenerationConfig(temperature=1.25, top_k=3, prompts=("he",))
        assert text_of(list(loaded.generate("he"))) == text_of(list(generator.generate("he", loaded.defaults)))

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
    def test_a_missing_file_is_named(self, checkpoint: Path, name: str) -> None:
        (checkpoint / name).unlink()
        with pytest.raises(UsageError, match=name):
            load_generator(checkpoint, "cpu")

    def test_damaged_settings_are_said(self, checkpoint: Path) -> None:
        (checkpoint / "generation_config.json").write_text('{"temperature": -1}')
        with pytest.raises(LmError, match="generation settings"):
            load_generator(checkpoint, "cpu")

    @pytest.mark.parametrize("device", ["abacus", "cuda:99"])
    def test_a_device_that_is_not_there(self, checkpoint: Path, device: str) -> None:
        with pytest.raises(UsageError, match=device):
            load_generator(checkpoint, device)
