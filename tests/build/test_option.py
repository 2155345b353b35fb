import pytest

from sweeper.build import option
from sweeper.build.option import Option
from sweeper.errors import ConfigError


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Return the targets that Hydra is asked for, with none known before."""
    targets: list[str] = []
    original = option.instantiated

    def instantiated(group, name, node, *trust):
        targets.append(node["_target_"])
        return original(group, name, node, *trust)

    monkeypatch.setattr(option, "_ALLOWED", {})
    monkeypatch.setattr(option, "instantiated", instantiated)
    return targets


def made(target, trust=option.trust_all, **arguments):
    return Option.of_node("group", "name", {"_target_": target, **arguments}, trust=trust)


@pytest.mark.parametrize(
    ("target", "n_asked"),
    [("torch.optim.SGD", 1), ("torch.nn.init.normal_", 2), ("fractions.Fraction", 2)],
)
def test_hydra_is_asked_once_for_a_class_of_torch(asked, target, n_asked) -> None:
    one, other = made(target), made(target)
    assert one.target is other.target
    assert asked == [target] * n_asked


def test_a_known_class_gets_the_arguments_of_its_own_node(asked) -> None:
    made("torch.optim.SGD", lr=0.1)
    assert made("torch.optim.SGD", lr=0.2, momentum=0.9).arguments == {"lr": 0.2, "momentum": 0.9}


def test_a_known_class_must_be_trusted_by_each_config(asked) -> None:
    def trust(target: str) -> None:
        raise ConfigError(f"{target} is not trusted")

    made("torch.optim.SGD")
    with pytest.raises(ConfigError, match="not trusted"):
        made("torch.optim.SGD", trust)


def test_a_class_that_was_replaced_is_found_anew(asked, monkeypatch) -> None:
    class Other:
        def __init__(self, lr: float = 0.1) -> None: ...

    made("sweeper.losses.ClassIndex")
    monkeypatch.setattr("sweeper.losses.ClassIndex", Other)
    assert made("sweeper.losses.ClassIndex").target is Other
