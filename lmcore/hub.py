"""One file from the Hugging Face Hub, from its cache or the network."""

from __future__ import annotations

from pathlib import Path

from lmcore.errors import LmError


def hub_file(repository: str, name: str, otherwise: str) -> Path:
    """Where the file `name` of a repository on the Hub lies on this machine, downloaded if need be.

    The Hub's own client reports each of its retries on stderr; here the one error at the end says it.

    Args:
        repository: such as `openai-community/gpt2`.
        name: the file's path in it.
        otherwise: a sentence on what to do without the Hub.

    Raises:
        LmError: huggingface-hub is not installed, the Hub is out of reach, or it has no such file.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
        from huggingface_hub.utils import logging
    except ImportError:
        raise LmError(
            f"'{repository}' would come from the Hub, which needs huggingface-hub.", f"pip install 'lm-tui[hub]'. Or: {otherwise}"
        ) from None
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        return Path(hf_hub_download(repository, name))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LmError(f"'{repository}' could not be had from the Hub ({reason.rstrip('.')}).", otherwise) from None
    finally:
        logging.set_verbosity(verbosity)
