"""Rows of a Parquet file, one document each, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lmcore.errors import LmError

_ROWS = 1024
_TEXT_TYPES = ("string", "large_string", "string_view")


def require_pyarrow(what: str) -> None:
    """Refuse to begin with something in Parquet that could not be read.

    Raises:
        LmError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise LmError(
            f"{what} is in the Parquet format, which needs pyarrow.", "Install it with `pip install 'lm-tui[parquet]'`."
        ) from None


def parquet_texts(path: Path, column: str) -> Iterator[str]:
    """The texts of a column in order; rows without one are skipped.

    Raises:
        LmError: pyarrow is not installed; no such column of text; a damaged file.
    """
    require_pyarrow(str(path))
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            strings = [field.name for field in file.schema_arrow if str(field.type) in _TEXT_TYPES]
            if column not in strings:
                raise LmError(
                    f"{path} has no text column '{column}' (its text columns: {', '.join(strings) or 'none'}).",
                    "Set the name of the column with `--set data.field=NAME`.",
                )
            for batch in file.iter_batches(_ROWS, columns=[column]):
                yield from (text for text in batch.column(0).to_pylist() if text)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise LmError(f"{path} is damaged or not Parquet: {error}.".replace("..", "."), "Download it again.") from None
    except OSError as error:
        raise LmError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its permissions."
        ) from None
