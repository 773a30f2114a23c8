"""The options of a command that generates text: one for each setting of `lmcore.sampling`."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperOption

from lmcore.errors import UsageError

if TYPE_CHECKING:
    from lmcore.config import GenerationConfig
    from lmcore.sampling import SamplerOption

_GIVEN = "lm.sampler_options"
_TYPES = {"integer": "INTEGER", "float": "FLOAT", "strings": "TEXT"}


class SamplerCommand(TyperCommand):
    """A command with an option for every sampler setting, for which the checkpoint has a value of its own.

    The options are made when the command is parsed, completed or asked for help: reading them takes pydantic, and
    importing that for every command would take longer than `lm --help` may.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        *own, help_option = super().get_params(ctx)
        return [*own, *self._options, help_option]

    def invoke(self, ctx: Any) -> Any:
        values = {str(option.name): ctx.params.pop(str(option.name)) for option in self._options}
        ctx.meta[_GIVEN] = {name: value for name, value in values.items() if value not in (None, (), [])}
        return super().invoke(ctx)

    @cached_property
    def _options(self) -> list[TyperOption]:
        from lmcore.sampling import sampler_options

        return [self._option(option) for option in sampler_options()]

    def _option(self, option: SamplerOption) -> TyperOption:
        negation = f"/--no-{option.flag.removeprefix('--')}" if option.kind == "boolean" else ""
        repeatable = " May be repeated." if option.kind == "strings" else ""
        return TyperOption(
            param_decls=[option.flag + negation, option.name],
            type=bool if option.kind == "boolean" else str,
            is_flag=option.kind == "boolean",
            multiple=option.kind == "strings",
            metavar=_metavar(option),
            help=f"{option.help}{repeatable}  [{self.default(option)}]",
        )

    def default(self, option: SamplerOption) -> str:
        """What holds without the option, for the help."""
        return "default: the run's setting"


class SharedSamplerCommand(SamplerCommand):
    """The same for a command that uses one set of values for several checkpoints."""

    def default(self, option: SamplerOption) -> str:
        return f"default: {'none' if option.default == () else str(option.default).lower()}"


def given_options(context: typer.Context) -> dict[str, Any]:
    """The sampler settings that were given on the command line, by name, as they were typed."""
    given: dict[str, Any] = context.meta[_GIVEN]
    return given


def change_settings(settings: GenerationConfig, given: dict[str, Any]) -> GenerationConfig:
    """A copy of `settings` with what the command line changes.

    Raises:
        UsageError: a value is not possible; it names the option, not the setting.
    """
    from lmcore.sampling import sampler_options, with_changes

    try:
        return with_changes(settings, given)
    except UsageError as error:
        flags = {option.name: option.flag for option in sampler_options()}
        message = re.sub(r"\bgeneration\.(\w+)", lambda match: flags.get(match[1], match[0]), error.message)
        if "--temperature" in message:
            hint = "Use --temperature 1 for the model's own probabilities, or --greedy for the most likely token."
            raise UsageError(message, hint) from None
        raise UsageError(message, error.hint) from None


def check_options(given: dict[str, Any]) -> None:
    """Refuse values that no checkpoint's settings would permit, before a checkpoint is loaded.

    Raises:
        UsageError: as for `change_settings`.
    """
    from lmcore.config import GenerationConfig

    # With both limits on, either may be switched off: the run may have the other one.
    change_settings(GenerationConfig(max_new_words=1), given)


def _metavar(option: SamplerOption) -> str | None:
    if option.kind == "boolean":
        return None
    return _TYPES[option.kind] + ("" if option.control.off is None else "|off")
