"""Conditions on a setting: the other settings with which it has an effect. They are declared in the setting's field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lmcore.registry import parts_of

Explain = Callable[[str], str | None]
"""A setting's name to what keeps it from having an effect, or None."""


@dataclass(frozen=True)
class Condition:
    """The setting `name` has one of `values`, or, with `negated`, none of them.

    Where the values of `name` are entries of `lmcore.registry`, the parts of an entry count as well:
    `when("model.architecture", "attention")` holds for every architecture with attention.
    """

    name: str
    values: tuple[Any, ...]
    negated: bool = False

    def unmet(self, read: Callable[[str], Any], explain: Explain) -> str | None:
        """`name = value` if that is what the condition fails on, else None.

        Args:
            read: a setting's name to its value.
            explain: a setting's name to what keeps that one from having an effect.
        """
        reason = explain(self.name)
        if reason is not None:
            return reason
        value = read(self.name)
        held = value in self.values or any(part in self.values for part in parts_of(self.name, value))
        return (
            f"{self.name} = {str(value).lower() if isinstance(value, bool) else value}"
            if held == self.negated
            else None
        )


@dataclass(frozen=True)
class AnyOf:
    """At least one of these conditions holds."""

    conditions: tuple[Condition, ...]

    def unmet(self, read: Callable[[str], Any], explain: Explain) -> str | None:
        """As in `Condition`: what the first of them fails on, if all fail."""
        reasons = [condition.unmet(read, explain) for condition in self.conditions]
        return None if None in reasons else reasons[0]


def when(name: str, *values: Any) -> Condition:
    """The setting has an effect only if `name` has one of these values (or parts)."""
    return Condition(name, values)


def unless(name: str, *values: Any) -> Condition:
    """The setting has no effect if `name` has one of these values (or parts)."""
    return Condition(name, values, negated=True)


def any_of(*conditions: Condition) -> AnyOf:
    """The setting has an effect if one of these holds."""
    return AnyOf(conditions)
