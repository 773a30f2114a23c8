"""The options of text generation as plain data, read from the fields of `GenerationConfig`.

The options of `lm generate` and `lm compare --prompt` and the sliders of the Generate screen are made from this list
and from nothing else: a new sampler is a field of `GenerationConfig` and its function in lmcore/generation/samplers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from lmcore.config import Config, Control, GenerationConfig
from lmcore.errors import UsageError

Kind = Literal["integer", "float", "boolean", "strings"]

_KINDS: dict[Any, Kind] = {int: "integer", float: "float", bool: "boolean", tuple[str, ...]: "strings"}
_EXPECTED: dict[Kind, str] = {
    "integer": "a whole number",
    "float": "a number",
    "boolean": "true or false",
    "strings": "a string or a list of strings",
}
_LENGTHS = ("max_new_tokens", "max_new_words")


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (not isinstance(value, str) and number != value):
        raise ValueError(value)
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(value)


def _switch(value: Any) -> bool:
    if isinstance(value, str):
        return {"on": True, "true": True, "1": True, "false": False, "0": False}[value.lower()]
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


_READERS: dict[Kind, Callable[[Any], float | bool]] = {"integer": _whole, "float": _number, "boolean": _switch}


@dataclass(frozen=True)
class SamplerOption:
    """One setting of text generation.

    Attributes:
        name: its key in `[generation]`.
        kind: integer, float, boolean or strings.
        help: one line on what it does.
        default: its value where a checkpoint does not say otherwise.
        control: its label, the range and step of its slider, and the value that switches it off.
    """

    name: str
    kind: Kind
    help: str
    default: Any
    control: Control

    @property
    def flag(self) -> str:
        """Its option on the command line, `--top-k` for `top_k`."""
        return "--" + self.name.replace("_", "-")

    def read(self, value: object) -> Any:
        """The setting that `value` means: text from a command line, or a number, bool or list from JSON or a slider.

        `off` is the value that switches the setting off; so is 0 for a number that can be switched off. Of several
        strings, `off` drops those before it.

        Raises:
            UsageError: it is of another type, or `off` for a setting that cannot be switched off.
        """
        if self.kind == "strings":
            return self._read_strings(value)
        if value == "off":
            return self._off()
        try:
            read = _READERS[self.kind](value)
        except (TypeError, ValueError, KeyError, OverflowError):
            raise self._refusal(value) from None
        return self._off() if read == 0 and self.control.off is not None else read

    def _read_strings(self, value: object) -> tuple[str, ...]:
        strings = [value] if isinstance(value, str) else value
        if not isinstance(strings, (list, tuple)) or not all(isinstance(string, str) for string in strings):
            raise self._refusal(value)
        for place, string in enumerate(strings):
            if string == "off":
                return self._read_strings(strings[place + 1 :])
        return tuple(string for string in strings if string)

    def _off(self) -> Any:
        if self.control.off is None:
            raise UsageError(f"generation.{self.name} cannot be switched off.", self.help)
        return self.control.off

    def _refusal(self, value: object) -> UsageError:
        off = "" if self.control.off is None else ", or off"
        return UsageError(
            f"generation.{self.name} = {value!r} is not valid: it must be {_EXPECTED[self.kind]}{off}.", self.help
        )


@cache
def sampler_options() -> tuple[SamplerOption, ...]:
    """Every setting of `GenerationConfig` with a `Control`, in the order of its fields."""
    return tuple(
        SamplerOption(name, _KINDS[field.annotation], field.description or "", field.default, control)
        for name, field in GenerationConfig.model_fields.items()
        for control in field.metadata
        if isinstance(control, Control)
    )


def with_changes(settings: GenerationConfig, changes: Mapping[str, object]) -> GenerationConfig:
    """A copy of `settings` with `{name: value}` changed, each value as for `SamplerOption.read`.

    A length asked for replaces the other one: with only `max_new_words` changed, the tokens of `settings` are no limit,
    and the other way round.

    Raises:
        UsageError: an unknown name, or a value that is not possible; it says `generation.NAME`.
    """
    options = {option.name: option for option in sampler_options()}
    read = {name: options[name].read(value) if name in options else value for name, value in changes.items()}
    lengths = [name for name in _LENGTHS if read.get(name)]
    if len(lengths) == 1:
        read = dict.fromkeys(_LENGTHS, 0) | read
    values = settings.model_dump(mode="json") | read
    return Config.from_dict({"generation": values}).generation
