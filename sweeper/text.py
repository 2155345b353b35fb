"""Columns of plain text."""

from collections.abc import Sequence

Cells = Sequence[str]


def aligned(*parts: Sequence[Cells], left: int = 1) -> str:
    """The lines of all parts below each other; the first `left` columns start at the left.

    A rule is drawn between two parts.
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


def binary(nbytes: int) -> str:
    """A number of bytes in the largest unit of 1024 that leaves at least one of it."""
    size, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{nbytes} B" if unit == "B" else f"{size:.1f} {unit}"
