"""Public corpora that can be downloaded: what they are, where they are, and the checksums that they are known by.

A new corpus is one entry of `CATALOGUE`. Only what has a published checksum is offered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Download:
    """One file on the web.

    Attributes:
        urls: the same file at several addresses, tried in order.
        sha256: of the file; nothing else is accepted.
        size: its bytes.
    """

    urls: tuple[str, ...]
    sha256: str
    size: int


@dataclass(frozen=True)
class Published:
    """A split as it was published, in each form that it is known in.

    Attributes:
        text: sha256 of the text file.
        tokens: sha256 of the `.npz` with its GPT-1 ids, `<pad>` first; empty where there is none.
        words, bytes: of the text, between white space and in UTF-8.
    """

    text: str
    tokens: str
    words: int
    bytes: int


@dataclass(frozen=True)
class Entry:
    """A corpus that can be downloaded.

    Attributes:
        about: one line.
        licence: its licence.
        downloads: the files that it is made from.
        form: plain: one text file; zip: an archive with `members`; conllu: treebanks whose `# text =` lines, in order,
            are the text.
        members: for an archive, which member becomes which file.
        filename: what a single text is called on disk; empty for a folder.
        sha256: of that single text, where it is not the download itself.
        published: what its splits are known by; empty where only the download has a checksum.
    """

    about: str
    licence: str
    downloads: tuple[Download, ...]
    form: Literal["plain", "zip", "conllu"] = "plain"
    members: tuple[tuple[str, str], ...] = ()
    filename: str = ""
    sha256: str = ""
    published: Mapping[str, Published] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(download.size for download in self.downloads)

    @property
    def text_sha256(self) -> str:
        """sha256 of the single text; empty for a folder."""
        return self.sha256 or (self.downloads[0].sha256 if self.form == "plain" else "")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that it brings; empty when it is to be cut."""
        names = {"train.txt": "train", "valid.txt": "val", "test.txt": "test"}
        return tuple(names[filename] for _, filename in self.members)


def _wikitext(
    name: str,
    about: str,
    licence: str,
    suffix: str,
    download: Download,
    published: Mapping[str, Published] | None = None,
) -> Entry:
    return Entry(
        about=about,
        licence=licence,
        downloads=(download,),
        form="zip",
        members=tuple((f"{name}/wiki.{split}.{suffix}", f"{split}.txt") for split in ("train", "valid", "test")),
        published=published or {},
    )


def _treebank(name: str, commit: str, files: tuple[tuple[str, str, int], ...]) -> tuple[Download, ...]:
    home = f"https://raw.githubusercontent.com/UniversalDependencies/{name}/{commit}"
    return tuple(Download((f"{home}/{file}",), sha256, size) for file, sha256, size in files)


# The archives' checksums are those published with the `wikitext` dataset of Hugging Face's `datasets`. They were first
# kept at research.metamind.io, which is gone; the hosts below are Stephen Merity's own and copies on the Hub.
CATALOGUE: dict[str, Entry] = {
    "wikitext-2-raw": _wikitext(
        "wikitext-2-raw",
        "Wikipedia articles, 2 million words, every word as it was written (Merity et al. 2016)",
        "CC BY-SA 3.0, GFDL",
        "raw",
        Download(
            (
                "https://huggingface.co/datasets/ggml-org/ci/resolve/main/wikitext-2-raw-v1.zip",
                "https://wikitext.smerity.com/wikitext-2-raw-v1.zip",
            ),
            "ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
            4_721_645,
        ),
        # The texts' checksums are those of the archive's members as others recorded them; their sizes also follow from
        # the `num_bytes` of the Hub's dataset (4 more for each row, 2 fewer for each blank line). A word of the text is
        # a word of the word-level corpus, where rare ones are <unk>.
        {
            "train": Published(
                "6707892fa3788b5ab9ed78ab5ff37d9fe825f6011a2ad4fcd6a6d467f0e7da57",
                "64513a83b2f7bc952318aea06c63e9fabf349352ccdcc972cf7d40a0522f1131",
                2_051_910,
                10_940_747,
            ),
            "val": Published(
                "4cd0f6876d07a413aa911261ff6d363c72d757d47f0fdd6015702014c89cb9c7",
                "b1ac035ce1b48ef98bb64cc58e48eadcb12c9affaf38ba6a32f287a8c3501ab3",
                213_886,
                1_146_846,
            ),
            "test": Published(
                "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08",
                "8222625565bfb25cb36f5135c2a9c9c9934ba305cf02d004edfc8a2e3df58152",
                241_211,
                1_290_590,
            ),
        },
    ),
    "wikitext-2": _wikitext(
        "wikitext-2",
        "Wikipedia articles, 2 million words, rare ones as <unk> (Merity et al. 2016)",
        "CC BY-SA 3.0",
        "tokens",
        Download(
            ("https://wikitext.smerity.com/wikitext-2-v1.zip",),
            "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
            4_475_746,
        ),
    ),
    "wikitext-103-raw": _wikitext(
        "wikitext-103-raw",
        "Wikipedia articles, 103 million words, every word as it was written (Merity et al. 2016)",
        "CC BY-SA 3.0, GFDL",
        "raw",
        Download(
            (
                "https://huggingface.co/datasets/mattdangerw/wikitext-103-raw/resolve/main/wikitext-103-raw-v1.zip",
                "https://wikitext.smerity.com/wikitext-103-raw-v1.zip",
            ),
            "91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794",
            191_984_949,
        ),
    ),
    "wikitext-103": _wikitext(
        "wikitext-103",
        "Wikipedia articles, 103 million words, rare ones as <unk> (Merity et al. 2016)",
        "CC BY-SA 3.0",
        "tokens",
        Download(
            ("https://wikitext.smerity.com/wikitext-103-v1.zip",),
            "242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
            190_229_076,
        ),
    ),
    "tinyshakespeare": Entry(
        about="1.1 MB of Shakespeare's plays, the usual character-level test",
        licence="public domain",
        downloads=(
            Download(
                ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                1_115_394,
            ),
        ),
        filename="tinyshakespeare.txt",
    ),
    "ud-dutch": Entry(
        about="4,617 Dutch sentences: the dev and test texts of UD_Dutch-Alpino and UD_Dutch-LassySmall",
        licence="CC BY-SA 4.0",
        downloads=(
            *_treebank(
                "UD_Dutch-Alpino",
                "95e374a608d114ec6c6b32f0fbd5f324d29ef286",
                (
                    (
                        "nl_alpino-ud-dev.conllu",
                        "3d6ad878d8b7b362fd756da22ae230951233be1e5596743af772150c89ba346d",
                        997_933,
                    ),
                    (
                        "nl_alpino-ud-test.conllu",
                        "f5b5000fcbb6745d42f7cccf3986bb2550f9b56a171b0d4808fb45d2df7972a2",
                        951_318,
                    ),
                ),
            ),
            *_treebank(
                "UD_Dutch-LassySmall",
                "7880e0bc4c8138607c8e9724db2294dc89d4e2b5",
                (
                    (
                        "nl_lassysmall-ud-dev.conllu",
                        "5e756efff04efc3f410778dab0d0a2c151b1d1507c98a054af7fc208e722f458",
                        2_494_508,
                    ),
                    (
                        "nl_lassysmall-ud-test.conllu",
                        "26e0e40c67e80fbe9f905fb1fe952dc609bd6c1a6c82dbcb3079ae474a01e8f3",
                        2_604_301,
                    ),
                ),
            ),
        ),
        form="conllu",
        filename="ud-dutch.txt",
        sha256="e437d8cf3439b9629b5487248b15d7325b58dfcf839c2a452c415a87c53341bb",
    ),
}

# Names that mean a corpus in the tokens of GPT-1's BPE, `<pad>` first.
IN_GPT1_TOKENS = {"wikitext-2-gpt1": "wikitext-2-raw"}


def known_by(checksums: Mapping[str, str]) -> Entry | None:
    """The corpus whose published splits have these sha256, as texts or as token files."""
    for entry in CATALOGUE.values():
        if entry.published and set(entry.published) == set(checksums):
            matches = [checksums[split] in (known.text, known.tokens) for split, known in entry.published.items()]
            if all(matches):
                return entry
    return None


def identity(entry: Entry) -> str:
    """What stands for a published corpus's content in hashes, whether its texts or its token files are at hand."""
    return hashlib.sha256(
        json.dumps({split: known.text for split, known in entry.published.items()}, sort_keys=True).encode()
    ).hexdigest()
