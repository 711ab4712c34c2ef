"""English: articles, numbers, plurals and lists."""

from __future__ import annotations

from collections.abc import Iterable

_NUMBERS = (
    "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
).split()
_CALLED = {
    "boxes": ("stack of boxes", "stacks of boxes"),
    "crates": ("stack of crates", "stacks of crates"),
    "counter": ("kitchen counter", "kitchen counters"),
    "dining set": ("dining table with chairs", "dining tables with chairs"),
    "door frame": ("doorway", "doorways"),
    "bookshelf": ("bookshelf", "bookshelves"),
    "wall shelf": ("wall shelf", "wall shelves"),
    "runner": ("runner rug", "runner rugs"),
    "person": ("person who walks about", "people who walk about"),
    "robot": ("robot that rolls about", "robots that roll about"),
    "dog": ("dog that runs about", "dogs that run about"),
    "bird": ("large bird that struts about", "large birds that strut about"),
    "bench": ("bench", "benches"),
    "cypress": ("cypress", "cypresses"),
    "stairs": ("flight of steps", "flights of steps"),
    "rack": ("storage rack", "storage racks"),
}
"""Labels whose singular is another word, or whose plural takes more than an s."""


def number_word(count: int) -> str:
    """A whole number in words up to twenty, in digits beyond."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else str(count)


def with_article(noun: str) -> str:
    """The noun after a or an.

    Example:
        >>> with_article("office chair"), with_article("bed")
        ('an office chair', 'a bed')
    """
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def counted(label: str, count: int) -> str:
    """So many of what a label names.

    Example:
        >>> counted("bed", 1), counted("bookshelf", 2), counted("window", 3)
        ('a bed', 'two bookshelves', 'three windows')
    """
    one, many = _CALLED.get(label, (label, f"{label}s"))
    return with_article(one) if count == 1 else f"{number_word(count)} {many}"


def joined(parts: Iterable[str], last: str = "and") -> str:
    """A list in words.

    Example:
        >>> joined(["a bed", "a rug", "two windows"]), joined(["turns", "stands"], "then")
        ('a bed, a rug and two windows', 'turns, then stands')
    """
    *before, end = parts
    if not before:
        return end
    return f"{', '.join(before)}{',' if last == 'then' else ''} {last} {end}"
