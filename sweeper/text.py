"""Plain text for people: one-line reasons, hints at near names, aligned columns, sizes."""

import difflib
from collections.abc import Iterable, Sequence

Cells = Sequence[str]


def in_one_line(error: BaseException | str) -> str:
    """Return an error's message with all white space, line breaks included, as single spaces."""
    return " ".join(str(error).split())


def near_names(name: str, known: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Return up to three known names that resemble `name`, the nearest first."""
    return difflib.get_close_matches(name, sorted(known), n=3, cutoff=cutoff)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known names that resemble `name`, or at all of them if none does."""
    known = sorted(known)
    near = near_names(name, known)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose one of {', '.join(known)}" if known else "there is nothing to choose from"


def aligned(*parts: Sequence[Cells], left: int = 1) -> str:
    """Return the lines of all parts as columns of text, with a rule between two parts.

    The first `left` columns are aligned to the left, all others to the right.
    """
    lines = [line for part in parts for line in part]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    blocks = [[_line(line, widths, left) for line in part] for part in parts]
    rule = "-" * max(len(text) for block in blocks for text in block)
    return f"\n{rule}\n".join("\n".join(block) for block in blocks) + "\n"


def _line(cells: Cells, widths: Sequence[int], left: int) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    texts = [cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in pairs]
    return "  ".join(texts).rstrip()


def binary_size(nbytes: int) -> str:
    """Return a number of bytes in the largest unit (B to TiB) of which there is at least one."""
    size, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{nbytes} B" if unit == "B" else f"{size:.1f} {unit}"
