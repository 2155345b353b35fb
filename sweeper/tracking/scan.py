"""Finds the records in the bytes of an outbox, and what is damaged between them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sweeper.tracking.records import DamagedRecordError, Record, parse

_MARK = re.compile(rb'\{"op"')
"""How each record begins. On a damaged line it tells where another record may begin."""
_MOST_MARKS = 20
"""Marks on one line beyond which the line is not searched, as each pair of them is tried."""


@dataclass(frozen=True)
class Damage:
    """Bytes that are no usable record: their offsets in the file, and what is wrong with them."""

    begin: int
    end: int
    reason: str


def scan(
    content: bytes, position: int, outbox: Path, with_last_line: bool = False
) -> tuple[list[Record], list[Damage]]:
    """Return the records of an outbox from a byte position on, and what is damaged.

    content: the bytes of the file from `position` on.
    with_last_line: read the last line although it has no end. Its writer was killed, and it is
        damaged unless only its end is missing.
    """
    records: list[Record] = []
    damages: list[Damage] = []
    begin, lines = position, content.split(b"\n")
    for line in lines if with_last_line else lines[:-1]:
        for found in _parts(line, begin, outbox):
            if isinstance(found, Damage):
                damages.append(found)
            elif found.op == "start" and (position > 0 or records):
                damages.append(Damage(found.begin, found.end, "it is a second start"))
            else:
                records.append(found)
        begin += len(line) + 1
    return records, damages


def _parts(line: bytes, offset: int, outbox: Path) -> Iterator[Record | Damage]:
    """Yield the records on a line, and what is damaged.

    A line holds one record, or several if a part of it was lost. A blank line was set aside.
    """
    marks = [match.start() for match in _MARK.finditer(line)][:_MOST_MARKS]
    cuts = sorted({0, *marks, len(line)})
    while len(cuts) > 1:
        begin, *ends = cuts
        if not line[begin:].strip():
            return
        try:
            record, end = _longest(line, begin, ends, outbox)
        except DamagedRecordError as error:
            end = ends[0]
            yield Damage(offset + begin, offset + end, str(error))
        else:
            yield replace(record, begin=offset + begin, end=offset + end)
        cuts = [cut for cut in cuts if cut >= end]


def _longest(line: bytes, begin: int, ends: list[int], outbox: Path) -> tuple[Record, int]:
    """Return the record from `begin` to the last possible one of `ends`, and that end.

    Raises:
        DamagedRecordError: there is no record; the message is that for the whole rest of the line.
    """
    errors = []
    for end in reversed(ends):
        try:
            return parse(line[begin:end], outbox), end
        except DamagedRecordError as error:
            errors.append(error)
    raise errors[0]
