"""Names that the shell completes. What lists them is imported when a shell asks."""

from __future__ import annotations


def complete_preset(incomplete: str) -> list[str]:
    """Presets that begin with `incomplete`."""
    from lmcore.presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """Runs that begin with `incomplete`."""
    from lmcore.runs import list_runs

    return [run.name for run in list_runs() if run.name.startswith(incomplete)]


def complete_corpus(incomplete: str) -> list[str]:
    """Corpora that begin with `incomplete`."""
    from lmcore.data.corpus.lookup import known_names

    return [name for name in known_names() if name.startswith(incomplete)]


def complete_setting(incomplete: str) -> list[str]:
    """Settings that begin with `incomplete`."""
    from lmcore.config import setting_names

    return [f"{name}=" for name in setting_names() if name.startswith(incomplete)]
