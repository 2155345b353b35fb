import pytest

from sweeper.run.naming import MAX_NAME_LENGTH, run_name

CHOICES = {
    "model": "lenet", "data": "mnist", "optimizer": "adam", "scheduler": "none",
    "init": "default", "init.linear": "normal", "tracking": "all",
}  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "lenet adam"),
        (["model=lenet", "optimizer=adam", "optimizer.lr=0.003"], "lenet adam lr=0.003"),
        (["data=mnist", "seed=3"], "lenet adam mnist seed=3"),
        (["scheduler=none"], "lenet adam scheduler=none"),
        (["init@init.linear=normal"], "lenet adam init.linear=normal"),
        (["+trainer.lr_scale.features=0.1"], "lenet adam features=0.1"),
        (["~data.mean"], "lenet adam ~mean"),
        (["init.a=1", "loss.a=2"], "lenet adam init.a=1 loss.a=2"),
        (["model.channels=[4,8]"], "lenet adam channels=[4,8]"),
        (["tracking=all", "data.root=/x", "resume=a.pt", "+tags.a=1", "run_name=a"], "lenet adam"),
    ],
)
def test_a_name_has_the_options_and_what_was_overridden(overrides, name: str) -> None:
    assert run_name(CHOICES, overrides) == name


def test_a_long_name_says_how_much_it_leaves_out() -> None:
    name = run_name(CHOICES, [f"model.key_{n}={'x' * 99}" for n in range(9)])
    assert name.startswith("lenet adam key_0=xxxxxxxxxx")
    assert name.endswith("... and 7 more")
    assert len(name) <= MAX_NAME_LENGTH + len(" and 7 more")


def test_a_name_has_no_password() -> None:
    name = run_name(CHOICES, ["model.a=postgresql://me:secret@host/db"])
    assert "secret" not in name
