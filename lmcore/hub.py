"""One file from the Hugging Face Hub, from its cache or the network."""

from __future__ import annotations

from pathlib import Path

from lmcore.errors import LmError

PATIENCE_SECONDS = 10.0


def hub_file(repository: str, name: str, otherwise: str) -> Path:
    """Where the file `name` of a repository on the Hub lies on this machine, downloaded if need be.

    Args:
        repository: such as `openai-community/gpt2`.
        name: the file's path in it.
        otherwise: a sentence on what to do without the Hub.

    Raises:
        LmError: huggingface-hub is not installed, the Hub is out of reach, or it has no such file.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    except ImportError:
        needed = f"'{repository}' would come from the Hub, which needs huggingface-hub."
        raise LmError(needed, f"`pip install 'lm-tui[hub]'`. Or: {otherwise}") from None
    try:
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
        # Asked first because a download out of reach is retried for half a minute, and this is not.
        HfApi().model_info(repository, timeout=PATIENCE_SECONDS)
        return Path(hf_hub_download(repository, name))
    except Exception as error:  # the client's errors, and those of whichever HTTP library it uses
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LmError(f"'{repository}' could not be had from the Hub ({reason.rstrip('.')}).", otherwise) from None
