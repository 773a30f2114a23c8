"""Public corpora that can be downloaded, and the licences of those often found in `$LM_DATA`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A corpus with a public home.

    Attributes:
        about: one line.
        licence: its licence.
        urls: the same file at several places, tried in order.
        sha256: of the downloaded file; nothing else is accepted.
        size: its bytes.
        members: for an archive, which member becomes which file; empty for a plain text.
        filename: what a plain text is called on disk.
    """

    about: str
    licence: str
    urls: tuple[str, ...]
    sha256: str
    size: int
    members: tuple[tuple[str, str], ...] = ()
    filename: str = ""


def _wikitext(number: str, about: str, sha256: str, size: int) -> Entry:
    archive = f"wikitext-{number}-v1.zip"
    return Entry(
        about=about,
        licence="CC BY-SA 3.0",
        urls=(
            f"https://wikitext.smerity.com/{archive}",
            f"https://s3.amazonaws.com/research.metamind.io/wikitext/{archive}",
        ),
        sha256=sha256,
        size=size,
        members=tuple(
            (f"wikitext-{number}/wiki.{split}.tokens", f"{split}.txt") for split in ("train", "valid", "test")
        ),
    )


# The checksums of the two archives are those published with the `wikitext` dataset of Hugging Face's `datasets`.
CATALOGUE = {
    "wikitext-2": _wikitext(
        "2",
        "Wikipedia articles, 2 million words (Merity et al. 2016)",
        "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
        4_475_746,
    ),
    "wikitext-103": _wikitext(
        "103",
        "Wikipedia articles, 103 million words (Merity et al. 2016)",
        "242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
        190_229_076,
    ),
    "tinyshakespeare": Entry(
        about="1.1 MB of Shakespeare's plays, the usual character-level test",
        licence="public domain",
        urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        size=1_115_394,
        filename="tinyshakespeare.txt",
    ),
}
