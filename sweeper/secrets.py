"""Passwords in URIs: masked in what is shown, and variables of the environment in what is stored.

    postgresql://me:secret@host/runs                               as the user writes it
    postgresql://me:***@host/runs                                  in messages and records
    postgresql://me:${oc.env:SWEEPER_SECRET_1A2B3C4D_0}@host/runs  in configs and pickled objects

OmegaConf resolves the third form to the first one. Worker processes inherit the variable, so no
file and no command line has to hold the password.

A password ends at the last `@` of its URI, so an `@`, `/` or `:` in it is not taken for its end.
"""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sweeper.errors import ConfigError

MASK = "***"
VARIABLE = "SWEEPER_SECRET_"
"""The beginning of the names of the variables that hold passwords."""

ODD_PASSWORD = (
    "the end of the password is unclear; write %40 for an @, %2F for a /, %3F for a ? and %23 for "
    "a # in it, and %40 for an @ after the host"
)
_OWN_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
_SHORTEST = 6
"""Shorter passwords, those of letters only and those of digits only are masked in URIs alone:
elsewhere they may be ordinary words."""

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_DEPTH = 8


def _braces(depth: int) -> str:
    """Return the pattern of a text in braces, with others in it, at most `depth` in each other."""
    others = f"{_braces(depth - 1)}|" if depth else ""
    # `*+` gives nothing back, or a search would take very long where there is no end.
    return rf"\{{(?:{_QUOTED}|{others}[^{{}}])*+\}}"


INTERPOLATION = rf"\${_braces(_DEPTH)}"
_SCHEME = r"(?:[A-Za-z][\w+.\-]{0,30}|\})://"  # `}` ends an interpolation
_WITH_DEFAULT = re.compile(
    r"((?:\\\\)*\$\{\s*oc\.(?:env|select)\s*:"
    rf"(?:{_QUOTED}|{INTERPOLATION}|[^,{{}}])*+,\s*)(.+?)(\s*\}})",
    re.DOTALL,
)
"""A resolver with a second argument: the value if there is no other."""
_KEYS = r"[\w.\-]*(?:password|passwd|passphrase|pwd|secret|token|api_?key)|odbc_connect"


def _patterns(any_character: str, space: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of a password before a host and of one in a query."""
    user = rf"(?:{INTERPOLATION}|(?!\$\{{)[^:/{space}])*"
    password = (
        rf"(?:(?!{_SCHEME}){any_character})+"  # up to the last @ before the next URI,
        # or, if there is none, up to the last @ of all, unless it begins like a port
        rf"|(?!\d+(?:[/?#,;)\]}}'\"\s]|$)){any_character}+"
    )
    query = rf"(?:{INTERPOLATION}|[^&#{space}])+"
    return (
        re.compile(rf"({_SCHEME}{user}:)({password})(?=@)", re.DOTALL),
        re.compile(rf"([?&](?:{_KEYS})=)({query})", re.IGNORECASE),
    )


# A text of its own may have spaces in a password; in a message a space ends the URI.
_IN_URI = _patterns(".", "")
_IN_MESSAGE = _patterns(r"\S", r"\s'\"")
_STORED = re.compile(rf"\$\\?\{{oc\.env\\?:{VARIABLE}\w+\\?\}}")
"""What `concealed` puts in place of a password; Hydra may escape it in the value of a sweep."""
_remembered: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Return whether the variable of this name holds a password or token.

    >>> is_secret_name("PGPASSWORD"), is_secret_name("PWD")
    (True, False)
    """
    is_key = re.fullmatch(_KEYS, name, re.IGNORECASE) is not None or "secret" in name.lower()
    return name in _OWN_VARIABLES or (is_key and name.lower() not in ("pwd", "oldpwd"))


def _unescaped(piece: str) -> str:
    return piece.replace("\\${", "${")


def masked_uri(uri: str) -> str:
    """Return a URI with `***` in place of its passwords; it does not depend on the passwords."""
    return _substituted(uri, _IN_URI)


def without_password(text: str) -> str:
    """Return a message with `***` in place of the passwords that are known or stand in a URI."""
    for spelling in _spellings(frozenset(_known())):
        text = text.replace(spelling, MASK)
    return _substituted(text, _IN_MESSAGE)


def remember(uri: str) -> None:
    """Remember the passwords of a URI, so that messages that quote them are masked."""
    _remembered.update(passwords_of(uri))


def passwords_of(uri: str) -> set[str]:
    """Return the passwords in a URI that is resolved."""
    return {uri[start:end] for start, end in password_spans(uri)} - {MASK}


def password_spans(uri: str) -> list[tuple[int, int]]:
    """Return where the passwords of a URI begin and end."""
    before_host, in_query = _IN_URI
    # Without an end the search would take a time that grows with the square of the length.
    matches = [*before_host.finditer(uri, 0, uri.rfind("@") + 1), *in_query.finditer(uri)]
    return sorted(match.span(2) for match in matches)


def concealed(text: str, key: str, read: Callable[[str], str] = _unescaped) -> str:
    """Return the text of a config with `${oc.env:NAME}` in place of the passwords in it.

    The passwords are put into the environment. The names derive from `key` and from the masked
    text, so another command with another password gets the same result. `read` is the function that
    turns the spelling of a password into the password; the default is that of OmegaConf.

    An interpolation that the user has written stays as it is.
    """
    if "://" not in text:
        return text
    digest = hashlib.sha256(f"{key} {masked_uri(text)}".encode()).hexdigest()[:8].upper()
    names, result, end = (f"{VARIABLE}{digest}_{n}" for n in count()), "", 0
    for start, stop in password_spans(text):
        result += text[end:start] + _stored(text[start:stop], names, read)
        end = stop
    return result + text[end:]


def concealed_password(text: str, key: str) -> str:
    """Return the text of a config that is a password, or a part of one, with `${oc.env:NAME}`.

    An interpolation that the user has written stays as it is.
    """
    name = f"{VARIABLE}{re.sub(r'[^A-Z0-9]', '_', key.upper())}"
    return _stored(text, chain([name], (f"{name}_PART_{n}" for n in count(2))))


def _stored(text: str, names: Iterator[str], read: Callable[[str], str] = _unescaped) -> str:
    """Return a password with interpolations for what stands there in plain text."""
    result = ""
    for piece, is_interpolation in _pieces(text):
        if is_interpolation:
            result += _without_defaults(piece, names)
        elif piece:
            result += store(next(names), piece, read)
    return result


def _without_defaults(text: str, names: Iterator[str]) -> str:
    """Return an interpolation with others for the defaults that stand in it in plain text."""

    def of_others(part: str) -> str:
        return re.sub(INTERPOLATION, lambda match: _without_defaults(match[0], names), part)

    match = _WITH_DEFAULT.fullmatch(text)
    if match is None:
        begin = text.index("${") + len("${")
        return text[:begin] + of_others(text[begin:-1]) + text[-1]
    before, default, after = match.groups()
    return of_others(before) + _stored_default(default, names) + after


def _stored_default(default: str, names: Iterator[str]) -> str:
    """Return the second argument of a resolver, with its plain text stored in variables."""
    if re.search(INTERPOLATION, default):
        quote = default[0] if re.fullmatch(_QUOTED, default, re.DOTALL) else ""
        inside = default[len(quote) : len(default) - len(quote)]
        return quote + _stored(inside, names, partial(_argument, quote)) + quote
    from omegaconf import OmegaConf  # hardly any text has such a default
    from omegaconf.errors import OmegaConfBaseException

    try:
        value = OmegaConf.create({"value": f"${{oc.select:none,{default}}}"}).value
    except OmegaConfBaseException:
        value = default
    return default if value in (None, "") else store(next(names), str(value), str)


def _argument(quote: str, text: str) -> str:
    """Return a part of an argument as it is read, which was in these quotes, or in none."""
    if quote:
        return text.replace(f"\\{quote}", quote)
    return re.sub(r"\\([\\()\[\]{}:=, \t'\"])", r"\1", text)


def store(name: str, piece: str, read: Callable[[str], str] = _unescaped) -> str:
    """Put a password into the environment; return the interpolation that resolves to it.

    If the variable has another password, this one gets a variable of its own: an earlier text, such
    as the config of another option of the same group, may refer to the other one.
    """
    password = read(piece)
    names = chain([name], (f"{name}_{n}" for n in count(2)))
    own = next(each for each in names if os.environ.get(each, password) == password)
    os.environ[own] = password
    return f"${{oc.env:{own}}}"


def revealed(text: str) -> str:
    """Return a text of `concealed` with its passwords.

    Raises:
        ConfigError: this process does not have the passwords.
    """

    def password(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(
                f"the password of {masked_uri(text)} did not reach this process: the launcher must "
                f"pass on the variable {match[1]}, or write ${{oc.env:NAME}} in place of the "
                "password and set NAME on every host"
            )
        return os.environ[match[1]]

    return re.sub(rf"\$\{{oc\.env:({VARIABLE}\w+)\}}", password, text)


def reduced(value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return how to pickle an object whose texts hold passwords: without them.

    It is the function that `copyreg.pickle` wants for the object's class.
    """
    key = type(value).__qualname__
    state = {k: _each_text(v, lambda text: concealed(text, key, str)) for k, v in _state(value)}
    return _restored, (type(value), state)


def _restored(cls: Any, state: dict[str, Any]) -> Any:
    value = cls.__new__(cls)
    value.__setstate__({k: _each_text(v, revealed) for k, v in state.items()})
    return value


def _state(value: Any) -> Iterable[tuple[str, Any]]:
    state: dict[str, Any] = value.__getstate__()
    return state.items()


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    return change(value) if isinstance(value, str) else value


def connectable(uri: str) -> str:
    """Return a URI whose password is percent-encoded, so that every library finds its end.

    The password ends at the last `@` before a query. A number after the host is a port.
    """
    match = re.fullmatch(rf"({_SCHEME})([^?#]*)(.*)", uri, re.DOTALL)
    if match is None:
        return uri
    scheme, body, query = match.groups()
    _, colon, start = body.partition("/")[0].partition(":")
    if not colon or start.isdigit():
        return uri
    if "@" not in body:
        more, at, query = query.rpartition("@")
        body += more + at
    userinfo, at, host = body.rpartition("@")
    user, colon, password = userinfo.partition(":")
    return f"{scheme}{user}{colon}{_encoded(password)}{at}{host}{query}"


def is_ambiguous(uri: str) -> bool:
    """Return whether an `@` after the host of a URI may be the end of its password."""
    spans = (match[2] for match in _IN_URI[0].finditer(connectable(uri)))
    return any(set("@/?#") & set(password) for password in spans)


def hide_arguments(arguments: Iterable[str], whole: bool = False) -> None:
    """Overwrite the passwords in this process's arguments, which process lists show.

    whole: overwrite all that follows the `=`; it is a password, or has one that is in no URI.
    """
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            content = memory.read(end - start)
            for argument in arguments:
                content = _all_starred(content, argument) if whole else _starred(content, argument)
            memory.seek(start)
            memory.write(content)
    except (OSError, IndexError, ValueError):
        return  # another system, or a container that forbids it


def _all_starred(content: bytes, argument: str) -> bytes:
    """Return the arguments with stars for the values of this one's key."""
    key = os.fsencode(argument.partition("=")[0])  # other passwords of it may be starred already
    pattern = rb"((?:\A|\0)" + re.escape(key) + rb"=)([^\0]*)"
    return re.sub(pattern, lambda match: match[1] + b"*" * len(match[2]), content)


def _starred(content: bytes, argument: str) -> bytes:
    """Return the arguments with stars for the passwords in the URIs of this one."""
    result, end = b"", 0
    for start, stop in password_spans(argument):
        stars = b"*" * len(os.fsencode(argument[start:stop]))
        result += os.fsencode(argument[end:start]) + stars
        end = stop
    return content.replace(os.fsencode(argument), result + os.fsencode(argument[end:]))


def _encoded(password: str) -> str:
    """Percent-encode what is not encoded yet."""
    return re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", quote(password, safe="%"))


def _substituted(text: str, patterns: tuple[re.Pattern[str], re.Pattern[str]]) -> str:
    text = _STORED.sub(MASK, text)
    before_host, in_query = patterns
    end = text.rfind("@") + 1
    text = before_host.sub(rf"\g<1>{MASK}", text[:end]) + text[end:]
    return in_query.sub(rf"\g<1>{MASK}", text)


def _pieces(span: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of a password and whether each is an interpolation."""
    for i, piece in enumerate(re.split(rf"((?<!\\)(?:\\\\)*{INTERPOLATION})", span)):
        yield piece, i % 2 == 1


def _known() -> set[str]:
    stored = {value for name, value in os.environ.items() if name.startswith(VARIABLE)}
    own = {os.environ[name] for name in _OWN_VARIABLES if name in os.environ}
    return stored | own | _remembered | passwords_of(os.environ.get("MLFLOW_TRACKING_URI", ""))


@lru_cache(maxsize=8)
def _spellings(passwords: frozenset[str]) -> list[str]:
    """Return the passwords as code, URIs and shells spell them, the longest first."""
    rewrites: list[Callable[[str], Any]] = [
        str, unquote, quote, lambda text: quote(text, safe=""),
        lambda text: repr(text)[1:-1], lambda text: json.dumps(text)[1:-1],
        lambda text: shlex.quote(text).strip("'"), lambda text: text.replace("'", "\\'"),
    ]  # fmt: skip
    spellings = {str(rewrite(password)) for password in passwords for rewrite in rewrites}
    return sorted(filter(_is_telling, spellings), key=len, reverse=True)


def _is_telling(password: str) -> bool:
    """Return whether a text is so unusual that it can only be the password."""
    return len(password) >= _SHORTEST and not password.isalpha() and not password.isdigit()
