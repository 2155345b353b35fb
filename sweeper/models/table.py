"""Columns of plain text."""

from collections.abc import Sequence

Cells = Sequence[str]


def aligned(head: Sequence[Cells], body: Sequence[Cells], foot: Cells, left: int) -> str:
    """The lines below each other, rules between; the first `left` columns start at the left."""
    lines = [*head, *body, foot]
    widths = [max(len(line[i]) for line in lines) for i in range(len(foot))]
    texts = [_line(line, widths, left) for line in lines]
    rule = "-" * max(map(len, texts))
    return "\n".join([*texts[: len(head)], rule, *texts[len(head) : -1], rule, texts[-1]]) + "\n"


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
