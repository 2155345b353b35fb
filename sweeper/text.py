"""Functions for messages: one line, short text, similar names, aligned columns, sizes, times.

Two of them say how to install what is missing. An environment of uv has no pip.
"""

import difflib
from collections.abc import Iterable, Sequence

Cells = Sequence[str]


def in_one_line(error: BaseException | str) -> str:
    """Return an error's message in one line, with single spaces between words."""
    return " ".join(str(error).split())


def shortened(text: str, length: int, ellipsis: str = "...") -> str:
    """Return the text, cut to `length` characters including the ellipsis if it is longer."""
    return text if len(text) <= length else text[: length - len(ellipsis)] + ellipsis


def printable(text: str, newlines: bool = False) -> str:
    """Return a text with its control characters escaped, so that no terminal acts on them.

    Names of files and classes may come from anyone. `newlines` keeps line breaks and tabs.
    """
    return "".join(
        c if c.isprintable() or (newlines and c in "\n\t") else c.encode("unicode_escape").decode()
        for c in text
    )


def near_names(name: str, known: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Return up to three known names that are similar to `name`, the most similar first.

    Capital letters count as small ones. cutoff: the least similarity, from 0 to 1 (see
    `difflib.get_close_matches`).
    """
    by_form = {each.lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_form, n=3, cutoff=cutoff)
    return [by_form[form] for form in near]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known names that are similar to `name`, or all if none is similar."""
    known = sorted(known)
    near = near_names(name, known)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose one of {', '.join(known)}" if known else "there is nothing to choose from"


def to_install(package: str) -> str:
    """Return what to type to install a package."""
    return f"type python -m pip install {package}, or with uv: python -m uv pip install {package}"


def to_install_extra(extra: str) -> str:
    """Return what to type to install an extra of this package, which no registry has."""
    return (
        f"type python -m uv sync --extra {extra} in the folder of sweeper's source, or without uv: "
        f"python -m pip install '/path/to/sweeper[{extra}]'"
    )


def aligned(*parts: Sequence[Cells], left: int = 1) -> str:
    """Return a table as text, with a line of dashes between two parts.

    parts: groups of rows; all rows have the same number of cells.
    left: the number of columns that are aligned to the left; the others are aligned to the right.
    """
    rows = [row for part in parts for row in part]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    blocks = [[_line(row, widths, left) for row in part] for part in parts]
    rule = "-" * max(len(text) for block in blocks for text in block)
    return f"\n{rule}\n".join("\n".join(block) for block in blocks) + "\n"


def _line(cells: Cells, widths: Sequence[int], left: int) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    texts = [cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in pairs]
    return "  ".join(texts).rstrip()


def named_rows(rows: Iterable[tuple[str, str]], width: int = 14) -> str:
    """Return rows of a name and a text, with the texts below each other from column `width` on."""
    return "\n".join(f"{name:<{width - 1}} {text}".rstrip() for name, text in rows)


def listed(words: Sequence[object]) -> str:
    """Return one word or more as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: `1 trial`, `1,437 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def epochs_text(epochs: float) -> str:
    """Return a number of epochs, which may be a fraction: `1 epoch`, `0.75 epochs`."""
    return f"{epochs:g} epoch{'' if epochs == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as `0:07`, `12:30` or `1:02:03`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def binary_size(nbytes: int) -> str:
    """Return a number of bytes as text, in the largest unit (B to TiB) that it reaches."""
    size, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{nbytes} B" if unit == "B" else f"{size:.1f} {unit}"
