import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from sweeper.concealment import (
    ConcealingLoader,
    conceal_command_line,
    conceal_config,
    concealed_override,
    concealed_values,
    masked,
)
from sweeper.configs import CONFIGS
from sweeper.hydra_state import as_hydra_config
from sweeper.hydra_versions import COMPOSING
from sweeper.secrets import MASK, VARIABLE

SCALARS = [
    "tracking.uri=http://me:s3cret@host:80/x",
    "tracking.uri='http://me:s3cret@host:80/x'",
    'tracking.uri="http://me:it\'s\\"s3cret@host"',
    "+tracking.uri='http://me:it\\'s/@ %40s3cret@host'",
    "tracking.uri=http://me:a\\,b\\=s3cret@host",
    "tracking.uri=http://me:a b@s3cret/@host",
    "tracking.uri='http://me:s3cret\\\\${x}@host'",
    "uri='postgresql://host/x?user=me&password=s3cret'",
]
OTHERS = [
    "a=[http://me:s3cret@host,'http://me:it\\'s3cret@host']",
    "a={uri: http://me:s3cret@host, b: 2}",
    "a=choice(http://host:80,http://me:s3cret@host)",
    "a=http://host:80,http://me:s3cret@host",
]
UNTOUCHED = ["a=1", "model=mlp", "~a", "--config-dir=http://me:s3cret@host", "a=http://host:80",
             "a=http://me:${oc.env:PASSWORD}@host"]  # fmt: skip


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


def value(line: str) -> Any:
    override = OverridesParser.create().parse_override(line)
    raw = list(override.sweep_iterator()) if override.is_sweep_override() else override.value()
    if override.is_sweep_override():
        raw = [OverridesParser.create().parse_override(f"a={each}").value() for each in raw]
    x = {"x": "X", "value": raw}
    return OmegaConf.to_container(OmegaConf.create(x), resolve=True)["value"]  # type: ignore[index, call-overload]


@pytest.mark.parametrize("line", [*SCALARS, *OTHERS])
def test_an_override_is_concealed_and_has_the_same_value(line: str) -> None:
    hidden = concealed_override(line)
    assert "s3cret" not in hidden
    assert value(hidden) == value(line)
    assert concealed_override(hidden) == hidden


@pytest.mark.parametrize("line", UNTOUCHED)
def test_another_argument_stays_as_it_is(line: str) -> None:
    assert concealed_override(line) == line


def test_two_passwords_give_the_same_override_however_they_are_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = concealed_override("a=http://me:one@host")
    monkeypatch.setattr(os, "environ", {})  # of another command
    assert first == concealed_override('a="http://me:it\'s the other@host"')


def test_what_hydra_cannot_parse_is_concealed_too() -> None:
    assert value(concealed_override("a=http://me:it's s3cret@host")) == "http://me:it's s3cret@host"


def test_the_command_line_is_concealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app", "--multirun", "a=http://me:s3cret@host", "b=1"])
    conceal_command_line()
    assert sys.argv[:2] == ["app", "--multirun"]
    assert "s3cret" not in str(sys.argv)
    assert value(sys.argv[2]) == "http://me:s3cret@host"


@pytest.fixture
def config() -> Iterator[DictConfig]:
    lines = ["tracking.uri=http://me:s3cret@host", "+db={password: pa55word}",
             "+url=http://me:${db.password}@host", "optimizer.lr=0.5",
             "hydra.sweeper.storage='postgresql://me:s3/cret@host/x'"]  # fmt: skip
    with initialize_config_dir(str(CONFIGS), **COMPOSING):
        yield compose("config", lines, return_hydra_config=True)


def test_a_config_holds_no_password_and_resolves_to_the_same_values(config: DictConfig) -> None:
    conceal_config(config)
    text = OmegaConf.to_yaml(config)
    assert not any(password in text for password in ("s3cret", "s3/cret", "pa55word"))
    assert config.tracking.uri == "http://me:s3cret@host"
    assert config.tracking.study_observers[0].uri == "http://me:s3cret@host"
    assert config.hydra.sweeper.storage == "postgresql://me:s3/cret@host/x"
    assert (config.url, config.db.password) == ("http://me:pa55word@host", "pa55word")
    again = text
    conceal_config(config)
    assert OmegaConf.to_yaml(config) == again


def test_a_password_that_a_uri_refers_to_leaves_the_command_line(
    config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ["app", "-cn", "pa55word", "optimizer.lr=0.5", "run_name=pa55word"]
    monkeypatch.setattr(sys, "argv", [*others, "+db={password: pa55word}"])
    conceal_config(config)
    *rest, hidden = sys.argv
    assert rest == others
    assert "pa55word" not in hidden
    assert value(hidden) == {"password": "pa55word"}


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        (r"+db.pw=a\,b1", "a,b1"),
        (r"+db.pw=\(a\ b1", "(a b1"),
        (r"++db.pw='it\'s b1'", "it's b1"),
        (r"+db={pw: a\:b1, name: x}", "a:b1"),
    ],
)
def test_a_password_that_is_typed_with_escapes_leaves_the_command_line(
    typed, password, monkeypatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["app", typed])
    config = OmegaConf.create({"db": {"pw": password}, "uri": "http://me:${db.pw}@host"})
    before = value(typed)
    conceal_config(config)
    assert "b1" not in sys.argv[1]
    assert value(sys.argv[1]) == before


def test_no_folder_is_named_after_an_override_with_a_password(config: DictConfig) -> None:
    conceal_config(config)
    assert VARIABLE not in str(config.hydra.job.override_dirname)
    assert "optimizer.lr=0.5" in config.hydra.job.override_dirname
    assert "tracking.uri" in config.hydra.job.config.override_dirname.exclude_keys


def test_the_record_of_a_config_is_masked(
    config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "fr0m-outside")
    OmegaConf.set_struct(config, False)
    config.experiment = {"word": "pa55word", "looked_up": "${oc.env:PASSWORD}", "home": "${seed}",
                         "uri": "http://me:${experiment.looked_up}@host"}  # fmt: skip
    conceal_config(config)
    del config.hydra
    record = masked(config, OmegaConf.to_container(config, resolve=True))
    assert not any(p in str(record) for p in ("s3cret", "fr0m-outside"))
    assert record["tracking"]["uri"] == record["url"] == "http://me:***@host"
    assert record["db"] == {"password": MASK}
    assert record["experiment"] == {
        "word": "pa55word", "looked_up": MASK, "home": 0, "uri": "http://me:***@host"
    }  # fmt: skip


def test_the_configs_that_hydra_composes_for_jobs_are_concealed() -> None:
    class Loader:
        sources = "the files"

        def load_sweep_config(self, master: DictConfig, lines: list[str]) -> DictConfig:
            return OmegaConf.create({"uri": "http://me:s3cret@host", "lines": lines})

    loader = ConcealingLoader(Loader())
    config = loader.load_sweep_config(OmegaConf.create(), ["a=1"])
    assert "s3cret" not in OmegaConf.to_yaml(config)
    assert (config.uri, config.lines, loader.sources) == ("http://me:s3cret@host", ["a=1"],
                                                          "the files")  # fmt: skip


def test_options_with_different_passwords_under_one_key_keep_their_own() -> None:
    class Loader:
        def load_sweep_config(self, _: DictConfig, lines: list[str]) -> DictConfig:
            password = "s3cret" if lines == ["db=a"] else "pa55word"
            db = {"password": password, "uri": f"http://me:{password}@host"}
            return OmegaConf.create({"db": db, "url": "http://me:${db.password}@host"})

    loader = ConcealingLoader(Loader())
    composed = [loader.load_sweep_config(OmegaConf.create(), [f"db={o}"]) for o in "ab"]
    for config, password in zip(composed, ("s3cret", "pa55word"), strict=True):
        assert "s3cret" not in OmegaConf.to_yaml(config)
        assert "pa55word" not in OmegaConf.to_yaml(config)
        uri = f"http://me:{password}@host"
        assert (config.db.password, config.db.uri, config.url) == (password, uri, uri)


def test_the_resolved_values_of_the_sweeper_are_concealed() -> None:
    values = {"storage": "postgresql://me:it's/s3cret@host", "n_trials": 3,
              "params": {"uri": "choice('http://me:s3cret two@a','http://me:s3cret@b')"},
              "enqueue": [{"uri": "http://me:s3cret@b"}]}  # fmt: skip
    hidden = concealed_values(values, "hydra.sweeper")
    assert "s3cret" not in str(hidden)
    assert hidden["n_trials"] == 3
    assert value(f"a={hidden['params']['uri']}") == value(f"a={values['params']['uri']}")  # type: ignore[index, call-overload]


def test_a_password_is_found_behind_relative_and_further_references() -> None:
    config = OmegaConf.create(
        {
            "db": {"pw": "${secrets.pw}", "url": "postgresql://me:${.pw}@h/d", "own": "hunter2"},
            "secrets": {"pw": "s3cret-x"},
            "deep": {"url": "postgresql://me:${..db.own}@h/d"},
            "a": {"b": "${a.b}", "url": "http://me:${.b}@h"},
        }
    )
    conceal_config(config)
    stored = OmegaConf.to_yaml(config)
    assert "s3cret" not in stored
    assert "hunter2" not in stored
    assert config.db.url == "postgresql://me:s3cret-x@h/d"


@pytest.mark.parametrize(
    "reference",
    [
        *("${secrets.db-pw}", "${secrets[db-pw]}", "${oc.select:secrets.db-pw}", "${.pw}"),
        *("${list.0}", "${secrets.${which}}", "${ secrets.db-pw }", "${oc.decode:${.pw}}"),
    ],
)
def test_a_password_is_found_behind_every_spelling_of_a_reference(reference: str) -> None:
    config = OmegaConf.create(
        {
            "db": {"url": f"postgresql://me:{reference}@h/d", "pw": "${secrets.db-pw}"},
            "secrets": {"db-pw": "s3cret-x"},
            "list": ["s3cret-x"],
            "which": "db-pw",
        }
    )
    conceal_config(config)
    OmegaConf.resolve(config.copy())
    kept = {"${list.0}": config.list}.get(reference, config.secrets)
    assert "s3cret" not in OmegaConf.to_yaml(kept)
    assert config.which == "db-pw"
    assert config.db.url == "postgresql://me:s3cret-x@h/d"


def test_a_password_among_the_variables_of_a_job_is_concealed() -> None:
    lines = ["+hydra.job.env_set.PGPASSWORD=hunter2-x", "hydra.job.env_set.OMP_NUM_THREADS=2"]
    variables = {"PGPASSWORD": "hunter2-x", "OMP_NUM_THREADS": "2", "PWD": "/home/me"}
    job = {"env_set": variables, "config": {"override_dirname": {"exclude_keys": []}}}
    config = OmegaConf.create(
        {"hydra": {"job": job, "overrides": {"task": [], "hydra": lines}, "sweep": {}}}
    )
    conceal_config(config)
    assert "hunter2" not in OmegaConf.to_yaml(config)
    assert OmegaConf.to_container(config.hydra.job.env_set, resolve=True) == variables


FORMS = {
    "through another node": ["++db.pw=hunter22", "++a.b=${db}", "http://me:${a.b.pw}@h"],
    "through an element": ["++db.pw=hunter22", "+l=[1,'${db}']", "http://me:${l[1].pw}@h"],
    "by two names": ["+w=k", "+v=${w}", "++sec.k=hunter22", "http://me:${sec.${v}}@h"],
    "by a variable": ["++sec.k=hunter22", "http://me:${sec.${oc.env:WHICH}}@h"],
    "by a choice": ["++sec.mlp=hunter22", "http://me:${sec.${hydra:runtime.choices.model}}@h"],
    "with underscores": ["++db.pw=4_2_1_5", "http://me:${db.pw}@h"],
    "with an exponent": ["+db={pw: 4215e3, n: 3}", "http://me:${db.pw}@h"],
    "by a function": ["++db.pw=str(4_2_1_5)", "http://me:${db.pw}@h"],
    "in two lists": ["+pws=[[a],[b,hunter22]]", "http://me:${pws[1][1]}@h"],
    "twice": ["++db.pw=hunter22", "++db.pw=other", "http://me:${db.pw}@h"],
    "in part": ["+n=7", "++db.pw=hunter22${n}", "http://me:${db.pw}@h"],
    "as a default": ["http://me:${oc.env:NOT_SET,hunter22}@h"],
    "as a default of a default": ["http://me:${oc.env:NOT_SET,${oc.env:NOR_THIS,hunter22}}@h"],
    "as a default of a name": ["+w=NOT_SET", "http://me:${oc.env:${w},hunter22}@h"],
    "as a quoted default": ['http://me:${oc.select:not.there,"hunter22, x"}@h'],
    "with the user": ["+login='me:hunter22'", "http://${login}@h"],
    "with the host": ["+rest='me:hunter22@h'", "http://${rest}"],
    "behind a scheme": ["+scheme=http", "${scheme}://me:hunter22@h"],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_password_leaves_the_config_in_every_form_of_reference(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mlp.yaml").write_text("depth: 1")
    (tmp_path / "config.yaml").write_text("defaults: [model: mlp, _self_]\nuri: ???")
    *lines, uri = FORMS[form]
    lines.append(f"uri='{uri}'")
    monkeypatch.setenv("WHICH", "k")
    monkeypatch.setattr(sys, "argv", ["app", *lines])

    def composed() -> DictConfig:
        with initialize_config_dir(str(tmp_path), **COMPOSING):
            return compose("config", sys.argv[1:], return_hydra_config=True)

    def resolved(config: DictConfig) -> str:
        with as_hydra_config(config):
            return str(config.uri)

    config = composed()
    before = resolved(config)
    conceal_command_line()
    conceal_config(config)
    stored = OmegaConf.to_yaml(config) + str(sys.argv)
    conceal_command_line()
    conceal_config(config)
    assert OmegaConf.to_yaml(config) + str(sys.argv) == stored
    assert not any(word in stored for word in ("hunter22", "4_2_1_5", "4215"))
    assert resolved(config) == resolved(composed()) == before


def test_a_host_that_a_uri_refers_to_stays() -> None:
    config = OmegaConf.create({"host": "localhost", "uri": "http://${host}:80/x"})
    before = OmegaConf.to_yaml(config)
    conceal_config(config)
    assert OmegaConf.to_yaml(config) == before


def test_references_in_a_circle_end() -> None:
    config = OmegaConf.create({"a": "${b}", "b": "${a}", "uri": "http://me:${secrets.${a}}@h"})
    before = OmegaConf.to_yaml(config)
    conceal_config(config)
    assert OmegaConf.to_yaml(config) == before
