"""What a user can mend: every such error derives from one class and says what, where and how in one line."""

from collections.abc import Sequence


class KinemaskError(Exception):
    """Wrong input, params or machine: a stage ends with the message alone. Anything else is a bug."""


def few(texts: Sequence[str], most: int) -> list[str]:
    """The first texts, and where there are more than `most`, how many: for messages and lists on a screen."""
    more = len(texts) - most
    return [*texts[:most], *([f"and {more:,} more"] if more > 0 else [])]


def first_of(texts: Sequence[str], most: int, between: str = ", ") -> str:
    """The first texts, and "..." where there are more: for a message in which the number stands already."""
    return between.join([*texts[:most], *(["..."] if len(texts) > most else [])])
