import copyreg
import os
import pickle
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sweeper.errors import ConfigError
from sweeper.secrets import (
    concealed,
    connectable,
    hide_arguments,
    is_ambiguous,
    masked_uri,
    passwords_of,
    reduced,
    remember,
    revealed,
    without_password,
)

URIS = [
    ("postgresql://me:secret@host/x", "postgresql://me:***@host/x"),
    ("http://me:p@s/s:w?o#r d@host:80/x", "http://me:***@host:80/x"),
    ('http://me:it\'s "5" %40 \\ ,=@host', "http://me:***@host"),
    ("http://me@server:secret@host", "http://me@server:***@host"),
    ("redis://:secret@host", "redis://:***@host"),
    ("http://me:a://b@host", "http://me:***@host"),
    ("http://me:${oc.env:PASSWORD}@host", "http://me:***@host"),
    ("http://${oc.env:ME}:secret@${host}", "http://${oc.env:ME}:***@${host}"),
    ("postgresql://h/x?user=me&password=a/b&y=1", "postgresql://h/x?user=me&password=***&y=1"),
    ("mssql:///?odbc_connect=PWD%3Dsecret", "mssql:///?odbc_connect=***"),
    ("http://a:1x@h,http://b:2x@i", "http://a:***@h,http://b:***@i"),
    ("choice(http://h:80,http://a:1x@i)", "choice(http://h:80,http://a:***@i)"),
]
PLAIN = ["http://host:80/x", "http://me@host", "sqlite:////a:b@c/x.db", "digits", "a:b@c"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr("sweeper.secrets._remembered", set())


@pytest.mark.parametrize(("uri", "masked"), URIS)
def test_a_uri_is_masked_and_concealed(uri: str, masked: str) -> None:
    assert masked_uri(uri) == masked == masked_uri(masked)
    hidden = concealed(uri, "key")
    assert masked_uri(hidden) == masked
    assert hidden == uri or not any(password in hidden for password in passwords_of(uri))
    assert revealed(hidden) == uri


@pytest.mark.parametrize("uri", PLAIN)
def test_a_text_without_a_password_stays_as_it_is(uri: str) -> None:
    assert masked_uri(uri) == uri == without_password(uri) == concealed(uri, "key")


@pytest.mark.parametrize("between", ["", "@", "/", " ", "'", '"', "\\", "\\${x}", "%", "$"])
def test_omegaconf_resolves_what_is_concealed_to_the_same_uri(between: str) -> None:
    uri = f"http://me:a{between}b@host"
    config = OmegaConf.create({"uri": uri, "hidden": concealed(uri, "uri")})
    assert config.hidden == config.uri


def test_the_concealed_text_of_a_command_does_not_depend_on_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uris = [f"http://me:{password}@host" for password in ("one", "an@o/ther 'one'")]
    texts = []
    for uri in uris:
        monkeypatch.setattr(os, "environ", {})
        texts.append(concealed(uri, "uri"))
        assert revealed(texts[-1]) == uri
    assert texts[0] == texts[1] != concealed(uris[1], "storage")


def test_two_passwords_under_one_key_have_a_variable_each() -> None:
    uris = [f"http://me:{password}@host" for password in ("one", "other", "third")]
    texts = [concealed(uri, "uri") for uri in uris]
    assert [revealed(text) for text in texts] == uris
    assert [OmegaConf.create([text])[0] for text in texts] == uris
    assert {masked_uri(text) for text in texts} == {"http://me:***@host"}
    assert [concealed(uri, "uri") for uri in reversed(uris)] == texts[::-1]


def test_an_interpolation_of_the_user_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "secret")
    assert concealed("http://me:${oc.env:PASSWORD}@host", "uri") == (
        "http://me:${oc.env:PASSWORD}@host"
    )
    mixed = concealed("http://me:begin${oc.env:PASSWORD}end@host", "uri")
    assert "begin" not in mixed
    assert "${oc.env:PASSWORD}" in mixed
    assert OmegaConf.create([mixed])[0] == "http://me:beginsecretend@host"


@pytest.mark.parametrize(
    "password",
    [
        "${oc.env:NOT_SET,hunter22}",
        "${oc.env:NOT_SET,${oc.env:NOR_THIS,hunter22}}",
        "${oc.env:NOT_SET,${oc.env:NOR_THIS,${oc.env:NOR_THAT, hunter22 }}}",
        "${oc.env:${oc.env:NAME},hunter22}",
        "${oc.env:${oc.env:NOR_THIS,NOT_SET},hunter22}",
        "${oc.decode:${oc.env:NOT_SET,hunter22}}",
        "${oc.select:not.there,'hunter22, x'}",
        "${oc.env:NOT_SET,'{hunter22}'}",
        r"${oc.env:NOT_SET,'hunter22 \'(x)\' \('}",
        r"${oc.env:NOT_SET,hunter22\,\(x\)}",
        "${oc.env:NOT_SET,hunter22${oc.env:NAME}hunter22}",
        "${oc.env:NOT_SET,'hunter22, ${oc.env:NAME} hunter22'}",
        "${oc.env:NOT_SET,hunter22}${oc.env:NOT_SET,more_of_hunter22}",
        "${oc.env:NOT_SET,4_2_1_5}",
        "${oc.env:NOT_SET,4215e3}",
    ],
)
def test_a_default_is_concealed_at_any_depth_and_only_once(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "NOT_SET")
    uri = f"http://me:{password}@host"
    hidden = concealed(uri, "uri")
    assert not any(word in hidden for word in ("hunter22", "4_2_1_5", "4215"))
    assert concealed(hidden, "uri") == hidden
    config = OmegaConf.create({"uri": uri, "hidden": hidden})
    assert config.hidden == config.uri


@pytest.mark.parametrize("default", ["null", "''", "${other}", "${oc.env:NOR_THIS,null}"])
def test_a_default_without_a_password_stays_as_it_is(default: str) -> None:
    uri = f"http://me:${{oc.env:NOT_SET,{default}}}@host"
    assert concealed(uri, "uri") == uri


def test_a_password_behind_a_user_with_defaults_is_found() -> None:
    user = "${oc.env:A,${oc.env:B,${oc.env:C,'{me}'}}}"
    assert masked_uri(f"http://{user}:secret@host") == f"http://{user}:***@host"


def test_a_password_that_did_not_reach_the_process_is_named() -> None:
    uri = "http://me:${oc.env:SWEEPER_SECRET_0}@host"
    with pytest.raises(ConfigError, match=r"http://me:\*\*\*@host .* SWEEPER_SECRET_0"):
        revealed(uri)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("POST http://me:se/cr@host:80/x failed", "POST http://me:***@host:80/x failed"),
        ("'http://a:1x@h' or \"http://b:2x@i\"", "'http://a:***@h' or \"http://b:***@i\""),
        ("see http://127.0.0.1:80 or mail me@host", "see http://127.0.0.1:80 or mail me@host"),
        ("login with pass 'word'7 failed", "login with *** failed"),
        ("login with pass \\'word\\'7 failed", "login with *** failed"),
        ("login with pass%20%27word%277 failed", "login with *** failed"),
        ("the letter of password", "the letter of password"),
    ],
)
def test_a_message_is_masked(text: str, shown: str) -> None:
    for uri in ("http://me:pass 'word'7@host", "http://me:password@host", "http://me:a@host"):
        remember(uri)
    assert without_password(text) == shown


@pytest.mark.parametrize(
    ("uri", "encoded"),
    [
        ("http://me:p@s/s:w d@host:80/x?a=b", "http://me:p%40s%2Fs%3Aw%20d@host:80/x?a=b"),
        ("http://me:p?q#r@host", "http://me:p%3Fq%23r@host"),
        ("http://me:%40%zz@host", "http://me:%40%25zz@host"),
        ("http://host:80/x", "http://host:80/x"),
        ("http://me@host/x", "http://me@host/x"),
    ],
)
def test_a_password_is_percent_encoded_once(uri: str, encoded: str) -> None:
    assert connectable(uri) == encoded == connectable(encoded)
    assert not is_ambiguous(uri)


@pytest.mark.parametrize("uri", ["http://me:12/34@h", "http://me:p@h?x@i", "http://h:80/a@b"])
def test_an_end_of_a_password_that_is_not_clear_is_told(uri: str) -> None:
    assert is_ambiguous(uri)


def test_a_long_text_is_masked_at_once() -> None:
    start = time.process_time()
    texts = ("a" * 100_000, "a://:" * 20_000, "@" + "a://:" * 20_000, "${" * 50_000 + "://:@")
    for text in (*texts, *("?password=" + part * 20_000 for part in ("${", "${'", "'${\""))):
        masked_uri(text)
        passwords_of(text)
    concealed("http://me:${oc.env:" + "'a'" * 10_000 + "}@host", "uri")
    assert time.process_time() - start < 5


class Storage:
    def __init__(self, url: str) -> None:
        self.url, self.timeout = url, 9

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


def test_an_object_is_pickled_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(copyreg.dispatch_table, Storage, reduced)
    pickled = pickle.dumps(Storage("postgresql://me:pl@nted@host"))
    assert b"nted" not in pickled
    copy = pickle.loads(pickled)
    assert (copy.url, copy.timeout) == ("postgresql://me:pl@nted@host", 9)


@pytest.mark.skipif(sys.platform != "linux", reason="process lists differ")
def test_an_argument_is_hidden_from_process_lists() -> None:
    child = (
        "import sys; from sweeper.secrets import hide_arguments;"
        "hide_arguments(sys.argv[1:3]); hide_arguments(['c=changed'], whole=True);"
        "print(open('/proc/self/cmdline').read(), sys.argv[1])"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", child, "a='http://me:s@cr ét@host'", "b=1", r"c=lét\,mein",
         "cc=1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    shown = "\0a='http://me:********@host'\0b=1\0c=**********\0cc=1\0 a='http://me:s@cr ét@host'"
    assert shown in done.stdout


def test_hiding_nothing_changes_nothing() -> None:
    before = Path("/proc/self/cmdline").read_bytes()
    hide_arguments([])
    assert Path("/proc/self/cmdline").read_bytes() == before
