"""Tokenizers: text to ids and back, each saved as one `tokenizer.json` that Hugging Face's `tokenizers` also loads."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tokenizers as hf

from lmcore.data.tokenizer.detokenize import WordJoiner
from lmcore.errors import LmError

UNK_NAMES = ("<unk>", "[UNK]")
EOS_NAMES = ("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>", "[EOS]")
PAD_NAMES = ("<pad>", "[PAD]", "<|padding|>")
UNICODE_SIZE = 0x110000


class DecodeStream(Protocol):
    """Ids one at a time to text that never shows half a character."""

    def push(self, token_id: int) -> str:
        """The text that is certain now; it may be empty."""
        ...

    def flush(self) -> str:
        """What was still held back."""
        ...


class Tokenizer:
    """Text to ids and back. All that it knows is in its `tokenizers.Tokenizer`, so saving that one file saves it.

    Attributes:
        kind: char, word, bpe, gpt1, gpt2, or file (any other).
        vocab_size: the largest id + 1.
        unk_id, eos_id, pad_id: ids of the special tokens, None where it has none.
    """

    def __init__(self, backend: hf.Tokenizer) -> None:
        backend.no_padding()
        backend.no_truncation()
        self.backend = backend
        self._spec: dict[str, Any] = json.loads(backend.to_str())
        self.vocab = backend.get_vocab(with_added_tokens=True)
        self.vocab_size = max(self.vocab.values(), default=-1) + 1
        self.unk_id = self._first(UNK_NAMES)
        self.eos_id = self._first(EOS_NAMES)
        self.pad_id = self._first(PAD_NAMES)
        self.kind = self._find_kind()

    @cached_property
    def hash(self) -> str:
        """sha256 of what is saved."""
        return hashlib.sha256(json.dumps(self._spec, sort_keys=True).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of the text; no special token is added at its ends."""
        if self.kind == "char":
            ids: list[int] = self._encode_characters(text).tolist()
            return ids
        encoded: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return encoded

    def encode_many(self, texts: list[str]) -> list[np.ndarray]:
        """`encode` of each text on all cores, as int32 arrays."""
        if self.kind == "char":
            return [self._encode_characters(text) for text in texts]
        encode_batch = getattr(self.backend, "encode_batch_fast", self.backend.encode_batch)
        return [np.array(encoding.ids, np.int32) for encoding in encode_batch(texts, add_special_tokens=False)]

    def encode_prompt(self, text: str) -> tuple[list[int], list[str]]:
        """Ids, and the words (or characters) that the vocabulary lacks, each once, in order."""
        if self.unk_id is None:
            return self.encode(text), []
        encoding = self.backend.encode(text, add_special_tokens=False)
        unknown = [
            text[a:b]
            for token_id, (a, b) in zip(encoding.ids, encoding.offsets, strict=True)
            if token_id == self.unk_id
        ]
        return list(encoding.ids), list(dict.fromkeys(word for word in unknown if word not in UNK_NAMES))

    def decode(self, ids: list[int]) -> str:
        """Text of the ids, special tokens by their names."""
        if self.kind == "file" and self._token_bytes is None:
            text: str = self.backend.decode(ids, skip_special_tokens=False)
            return text
        stream = self.decode_stream()
        return "".join([*(stream.push(token_id) for token_id in ids), stream.flush()])

    def decode_stream(self) -> DecodeStream:
        """A fresh stream; see `DecodeStream`."""
        if self._token_bytes is not None:
            return _ByteStream(self._token_bytes)
        if self.kind == "char":
            return _PlainStream(self.token)
        if self.kind == "word":
            return WordJoiner(self.token, spaced=self._pre_tokenizer == "WhitespaceSplit")
        return _SuffixStream(self.token) if self.kind == "gpt1" else _BackendStream(self.backend)

    def token(self, token_id: int) -> str:
        """The vocabulary's spelling of an id.

        Raises:
            LmError: there is no such id.
        """
        token: str | None = self.backend.id_to_token(int(token_id))
        if token is None:
            raise LmError(f"The tokenizer has no token {token_id}.", "Use the tokenizer that belongs to the model.")
        return token

    def spelling(self) -> list[bytes]:
        """What each id adds to a text, in UTF-8, by id: enough to count words and bytes without decoding."""
        if self._token_bytes is not None:
            return self._token_bytes
        table = [b""] * self.vocab_size
        for token, token_id in self.vocab.items():
            if self.kind == "gpt1":
                text = token.replace("</w>", " ")
            elif self.kind == "word":
                text = "\n" if token == "<eos>" else f"{token} "
            else:
                text = token if self.kind == "char" else token.replace("▁", " ")
            table[token_id] = text.encode()
        return table

    def save(self, path: Path | str) -> None:
        """Write the `tokenizer.json`; a folder gets a file of that name."""
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        path.write_text(self.backend.to_str(), encoding="utf-8")

    @property
    def eos_ends_lines(self) -> bool:
        """Whether `<eos>` ends a line, as in word-level corpora since Mikolov; with others it ends a document."""
        return self.kind == "word"

    @property
    def cuts_exactly(self) -> bool:
        """Whether text may be tokenized in pieces cut between words without changing an id."""
        known = self.kind in ("char", "word", "gpt1", "gpt2", "bpe")
        return known and not (self._spec["pre_tokenizer"] or {}).get("add_prefix_space", False)

    @property
    def _pre_tokenizer(self) -> str:
        return str((self._spec["pre_tokenizer"] or {}).get("type", ""))

    def _first(self, names: tuple[str, ...]) -> int | None:
        return next((self.vocab[name] for name in names if name in self.vocab), None)

    def _find_kind(self) -> str:
        """The kind follows from the parts, so that nothing beside the file needs to remember it."""
        model, pre_tokenizer = self._spec["model"], self._spec["pre_tokenizer"] or {}
        if model["type"] == "WordLevel":
            by_character = pre_tokenizer.get("pattern") == {"Regex": r"[\s\S]"}
            return "char" if by_character else "word" if self._normalizes_lines() else "file"
        if (
            model["type"] == "BPE"
            and model.get("end_of_word_suffix") == "</w>"
            and self._pre_tokenizer == "BertPreTokenizer"
        ):
            return "gpt1"
        if model["type"] == "BPE" and self._pre_tokenizer == "ByteLevel" and pre_tokenizer.get("use_regex", True):
            return "gpt2" if self.vocab_size == 50257 and self.eos_id == 50256 else "bpe"
        return "file"

    def _normalizes_lines(self) -> bool:
        normalizer = self._spec["normalizer"] or {}
        return any(part.get("content") == " <eos> " for part in normalizer.get("normalizers", [normalizer]))

    @cached_property
    def _character_ids(self) -> np.ndarray:
        ids = np.full(UNICODE_SIZE, self.unk_id if self.unk_id is not None else 0, np.int32)
        for token, token_id in self.vocab.items():
            if len(token) == 1:
                ids[ord(token)] = token_id
        return ids

    def _encode_characters(self, text: str) -> np.ndarray:
        if (self._spec["normalizer"] or {}).get("type") == "Lowercase":
            # Python lowers a final sigma by its context, the tokenizers library letter by letter.
            text = text.replace("Σ", "σ").lower()
        ids: np.ndarray = self._character_ids[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
        return ids

    @cached_property
    def _token_bytes(self) -> list[bytes] | None:
        if (self._spec["decoder"] or {}).get("type") != "ByteLevel":
            return None
        letters = byte_letters()
        added = {token_id: token.content for token_id, token in self.backend.get_added_tokens_decoder().items()}
        table = [b""] * self.vocab_size
        for token, token_id in self.vocab.items():
            known = token_id not in added and all(letter in letters for letter in token)
            table[token_id] = bytes(letters[letter] for letter in token) if known else token.encode()
        return table


class _ByteStream:
    def __init__(self, token_bytes: list[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        if not 0 <= token_id < len(self._token_bytes):
            raise LmError(f"The tokenizer has no token {token_id}.", "Use the tokenizer that belongs to the model.")
        return self._decoder.decode(self._token_bytes[token_id])

    def flush(self) -> str:
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


class _PlainStream:
    def __init__(self, token: Callable[[int], str]) -> None:
        self._token = token

    def push(self, token_id: int) -> str:
        return self._token(token_id)

    def flush(self) -> str:
        return ""


class _SuffixStream:
    """GPT-1's tokens: `</w>` ends a word. The space after a word comes with the next one."""

    def __init__(self, token: Callable[[int], str]) -> None:
        self._token = token
        self._space = ""

    def push(self, token_id: int) -> str:
        token = self._token(token_id)
        text = self._space + token.removesuffix("</w>")
        self._space = " " if token.endswith("</w>") else ""
        return text

    def flush(self) -> str:
        self._space = ""
        return ""


class _BackendStream:
    """Any other decoder: what a new id adds to the text of the few ids before it.

    Ids since the text last ended between characters are decoded together with those before them, because decoders treat
    the first token apart.
    """

    def __init__(self, backend: hf.Tokenizer) -> None:
        self._backend = backend
        self._before: list[int] = []
        self._new: list[int] = []

    def push(self, token_id: int) -> str:
        self._new.append(int(token_id))
        added = self._added()
        if not added or added.endswith("\ufffd"):
            return ""
        self._before, self._new = self._new, []
        return added

    def flush(self) -> str:
        rest = self._added() if self._new else ""
        self._before, self._new = [], []
        return rest

    def _added(self) -> str:
        known: str = self._backend.decode(self._before, skip_special_tokens=False)
        text: str = self._backend.decode(self._before + self._new, skip_special_tokens=False)
        return text[len(known) :]


def byte_letters() -> dict[str, int]:
    """GPT-2's spelling of the 256 bytes as printable letters (Radford et al. 2019, `bytes_to_unicode`), reversed."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}


def load_tokenizer(path: Path | str) -> Tokenizer:
    """A saved `tokenizer.json`, or the one in a folder.

    Raises:
        LmError: it is missing or not a tokenizer.
    """
    path = Path(path)
    path = path / "tokenizer.json" if path.is_dir() else path
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LmError(
            f"The tokenizer {path} cannot be read: {error}.", "Check the path of the tokenizer.json."
        ) from None
    try:
        backend = hf.Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise LmError(
            f"{path} is not a tokenizer: {error}.", "Use a tokenizer.json saved by Hugging Face's tokenizers."
        ) from None
    return Tokenizer(backend)
