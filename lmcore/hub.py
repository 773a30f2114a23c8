"""Files from the Hugging Face Hub, from its cache or the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmcore.errors import OutOfReachError

PATIENCE_SECONDS = 10.0
INSTALL = "`pip install 'lm-tui[hub]'`"
# Where the Hub keeps what it converted; see https://huggingface.co/docs/dataset-viewer/parquet.
_PARQUET = "refs/convert/parquet"
_OWN_FILES = "Download it on another machine, and pass its files with --data PATH."


def hub_file(repository: str, name: str, otherwise: str) -> Path:
    """Where the file `name` of a model repository on the Hub lies on this machine, downloaded if need be.

    Args:
        repository: such as `openai-community/gpt2`.
        name: the file's path in it.
        otherwise: a sentence on what to do without the Hub.

    Raises:
        OutOfReachError: huggingface-hub is not installed, the Hub cannot be reached, or it has no such file.
    """
    with _client_errors(repository, otherwise):
        from huggingface_hub import HfApi, hf_hub_download

        if (cached := cached_file(repository, name)) is not None:
            return cached
        # Asked first because a download that cannot start is retried for half a minute, and this is not.
        HfApi().model_info(repository, timeout=PATIENCE_SECONDS)
        return Path(hf_hub_download(repository, name))


def cached_file(repository: str, name: str) -> Path | None:
    """Where the file lies if it was downloaded before; None otherwise. Never uses the network."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        cached = try_to_load_from_cache(repository, name)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def client_is_installed() -> bool:
    """Whether anything can be downloaded from the Hub: huggingface-hub is an extra."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        return False
    return True


def parquet_files(repository: str) -> dict[str, int]:
    """The Parquet files into which the Hub converted a dataset, CONFIG/SPLIT/NUMBER.parquet, and their bytes.

    Raises:
        OutOfReachError: as `hub_file`.
    """
    with _client_errors(repository, _OWN_FILES):
        from huggingface_hub import HfApi

        # As for a model: listing is retried for half a minute where there is no network.
        HfApi().dataset_info(repository, timeout=PATIENCE_SECONDS)
        found = HfApi().list_repo_tree(repository, repo_type="dataset", revision=_PARQUET, recursive=True)
        sizes = {entry.path: getattr(entry, "size", 0) for entry in found}
        return {path: size for path, size in sizes.items() if path.endswith(".parquet")}


def download_parquet(repository: str, path: str, folder: Path) -> None:
    """Put one of `parquet_files` into a folder, under its own path.

    Raises:
        OutOfReachError: as `hub_file`.
    """
    with _client_errors(repository, _OWN_FILES):
        from huggingface_hub import hf_hub_download

        hf_hub_download(repository, path, repo_type="dataset", revision=_PARQUET, local_dir=folder)


@contextmanager
def _client_errors(repository: str, otherwise: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise OutOfReachError(
            f"'{repository}' comes from the Hugging Face Hub, which needs huggingface-hub ({INSTALL}).", otherwise
        ) from None
    except OSError as error:
        if error.filename is not None:  # the disk's, not the network's
            raise
        raise _out_of_reach(repository, error, otherwise) from None
    except Exception as error:  # the client's errors, and those of whichever HTTP library it uses
        raise _out_of_reach(repository, error, otherwise) from None


def _out_of_reach(repository: str, error: Exception, otherwise: str) -> OutOfReachError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return OutOfReachError(
        f"'{repository}' could not be downloaded from the Hugging Face Hub ({reason.rstrip('.')}).", otherwise
    )
