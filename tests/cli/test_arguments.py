import pytest

from sweeper.cli.arguments import parse_arguments, study_meant
from sweeper.errors import ConfigError


def test_a_key_that_is_given_two_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="^checkpoint=a checkpoint=b: checkpoint has one value"):
        parse_arguments(["checkpoint=a", "--json", "checkpoint=b"], ["checkpoint"], ["--json"])


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("ckpt=", "type checkpoint=VALUE"),
        ("ckpt=a b.pt", "type 'checkpoint=a b.pt'"),
        ("resume=x.pt", "type checkpoint=x.pt"),
        ("model=x.pt", "type checkpoint=x.pt"),
        ("splt=val", "type split=val"),
        ("qqq=1", "choose one of checkpoint, split"),
    ],
)
def test_a_key_that_does_not_exist_says_what_to_type(argument, hint) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_arguments([argument], ["split", "checkpoint"])
    assert str(caught.value) == f"{argument}: there is no key {argument.partition('=')[0]}; {hint}"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["study=my study"], "'multirun/my study'"),
        (["epochs=3", "hydra.sweeper.study_name=s"], "multirun/s"),
        (["folder=kept"], "kept"),
        (["study="], None),
        (["multirun/s", "epochs=3"], None),
    ],
)
def test_a_study_that_is_named_by_a_key_is_in_its_folder(
    tmp_path, monkeypatch, arguments, meant
) -> None:
    (tmp_path / "kept").mkdir()
    monkeypatch.chdir(tmp_path)
    assert study_meant(arguments) == meant


def test_a_key_may_repeat_its_value() -> None:
    arguments = parse_arguments(["checkpoint=a", "data.root=x", "checkpoint=a"], ["checkpoint"])
    assert arguments.values == {"checkpoint": "a"}
    assert arguments.overrides == ["data.root=x"]
