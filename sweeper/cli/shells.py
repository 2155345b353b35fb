"""What a shell or an editor has made of a command line: quotes, spaces, dashes, brackets."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sweeper.cli.overrides import quoted, shell_word

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""The hyphen of flags, and what editors and web pages put in its place."""

KEYBOARD = str.maketrans(
    dict.fromkeys(DASHES[1:], "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"')
    | dict.fromkeys("\u00a0\u2007\u202f", " ")
    | {"\uff1d": "=", "\uff0c": ",", "\uff08": "(", "\uff09": ")"}
)
"""The characters of documents and web pages, with those of the keyboard that they stand for."""


def leftover_advice(override: str) -> str | None:
    """Return the line for an override that Hydra cannot parse, or None if the cause is not known.

    The cause may be a shell, or a document that the override was copied from.
    """
    inner = _without_quotes(override)
    if inner != override:  # the Command Prompt of Windows leaves single quotes in place
        return f'{override}: the quotes are a part of it; type "{inner}"'
    key, _, value = override.partition("=")
    if re.match(r"~($|[/\\])", value):
        path = quoted(Path(value).expanduser())
        return f"{override}: no shell replaces this ~; type {shell_word(f'{key}={path}')}"
    if (closed := _closed(override)) != override:
        return f"{override}: a bracket is not closed; type {shell_word(closed)}"
    if (plain := override.translate(KEYBOARD)) != override:
        text = re.sub(r"=(['\"])([\w/.+-]+)\1$", r"=\2", plain)
        return f"{override}: has other characters than the keyboard's; type {shell_word(text)}"
    if re.search(r"\w,\s*$", override) and "=" in override:
        whole = shell_word(override.rstrip(", "))
        return f"{override}: ends with a comma; type {whole}, or what comes after the comma"
    if ";" in value:
        commas = re.sub(r"\s*;\s*", ",", override)
        return f"{override}: has a semicolon; type {shell_word(commas)}"
    return None


def variable_advice(message: str) -> str:
    """Return what to type if OmegaConf did not find a key that is a variable of the environment."""
    match = re.search(r"Interpolation key '(\w+)' not found", message)
    if match is None or match[1] not in os.environ:
        return ""
    return f"type '${{oc.env:{match[1]}}}' for the variable of the environment"


def split_value(first: str, following: Sequence[str]) -> tuple[str, str] | None:
    """Return an override that the shell has split at its spaces: as it was typed, and whole.

    None if the words do not belong together, by their brackets or commas.
    """
    shown = whole = first
    for word in following:
        at_comma = whole.endswith(",") or word.startswith(",")
        if not at_comma and not _n_open(whole):
            break
        shown, whole = f"{shown} {word}", whole + ("" if at_comma else " ") + word
    belong = "=" in first and shown != first and not _n_open(whole)
    return (shown, _without_quotes(whole)) if belong else None


def _n_open(text: str) -> int:
    """Return the number of brackets that are open at the end of a text."""
    return sum(map(text.count, "[{(")) - sum(map(text.count, "]})"))


def _closed(text: str) -> str:
    """Return a text with the brackets that it lacks at its end; one with quotes as it is."""
    closing, open_ones = {"[": "]", "{": "}", "(": ")"}, []
    for character in "" if set(text) & set("'\"\\") else text:
        if character in closing:
            open_ones.append(closing[character])
        elif character in closing.values() and (not open_ones or open_ones.pop() != character):
            return text
    return text + "".join(reversed(open_ones))


def _without_quotes(text: str) -> str:
    match = re.fullmatch(r"(['\"])([^=]+=.*)\1", text, re.DOTALL)
    return match[2] if match else text
