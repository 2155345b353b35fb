"""The recipes of conf/experiment: they compose, build and learn, and what is typed beside one wins.

Their results on the real data are in the comments of the files. Here each learns a few images of
the same layout by heart.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from mnist_files import write_mnist
from sweeper.cli.messages import line_for
from sweeper.configs import CONFIGS
from sweeper.data.torchvision_sets import LAYOUTS
from sweeper.errors import ConfigError
from sweeper.evaluate import evaluate
from sweeper.hydra_versions import COMPOSING
from sweeper.predict import predict
from sweeper.space.compose import Composer
from sweeper.space.live import LiveSpace
from sweeper.space.space import parse_space
from sweeper.sweep.identity import StudyIdentity, study_identity
from sweeper.sweep.points import default_point
from sweeper.sweep.settings.study_settings import read_settings

RECIPES = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))
RECIPES.remove("none")
N_IMAGES = 40
SMALLER = {
    "cifar10_alexnet": ["model.width=0.1"],
    "cifar10_resnet": ["model.channels=[8,8,16,16]"],
    "cifar10_resnet50": ["model.channels=[8,8,16,16]"],
    "digit_strings_crnn": ["data.n_train=100", "data.n_val=10", "data.n_test=10",
                           "data.min_length=1", "data.max_length=1", "trainer.epochs=400"],
    "voc_resnet": ["data.train_transform.0.size=32", "data.eval_transform.0.size=36",
                   "data.eval_transform.1.size=32", "optimizer.lr=0.01"],
}  # fmt: skip
"""What makes the network or the images of a recipe small."""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Folder with images of noise in the layouts of CIFAR-10 and of MNIST."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = np.arange(N_IMAGES) % 10
    for file in (f for files in LAYOUTS["cifar10"].files.values() for f in files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (N_IMAGES, 3072), dtype=np.uint8)
        names = [str(i) for i in range(10)]
        content = {"data": pixels, "labels": labels.tolist(), "label_names": names}
        (folder / file).write_bytes(pickle.dumps(content))
    write_mnist(folder, n_train=N_IMAGES, n_test=N_IMAGES)
    return folder


@pytest.fixture
def local(root, shapes, built, tmp_path, monkeypatch) -> Callable[[str], list[str]]:
    """Return a function that returns a recipe as overrides, for data and weights of this test."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    monkeypatch.setattr("torchvision.datasets.utils.check_integrity", lambda *_: True)

    def overrides(recipe: str) -> list[str]:
        folder = {"cifar10": root, "mnist": root, "voc": shapes}.get(recipe.partition("_")[0])
        own = [f"experiment={recipe}", *SMALLER.get(recipe, [])]
        own += [f"data.root={folder}"] if folder else []
        if recipe in ("digits_transfer", "voc_resnet"):
            model = built(*own, "init.weights=null").model
            torch.save(model.state_dict(), tmp_path / "weights.pt")
            own.append(f"init.weights={tmp_path}/weights.pt")
        return own

    return overrides


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_learns_images_by_heart(ran, local, tmp_path, recipe, caplog) -> None:
    caplog.set_level("INFO")
    limits = ["trainer.train_limit=8", "trainer.val_limit=4", "trainer.test_limit=4"]
    ran(*local(recipe), "trainer=overfit", "data.batch_size=8", *limits)
    assert "the network knows its 8 training images by heart" in caplog.text


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_states_its_result_or_that_it_has_none(recipe) -> None:
    text = (CONFIGS / f"experiment/{recipe}.yaml").read_text(encoding="utf-8")
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("# "))
    assert text.startswith("# @package _global_\n# ")
    assert ("Not yet measured" in comment) != ("test " in comment and " s on " in comment)


@pytest.mark.parametrize("typed", [("optimizer.lr=0.5", "trainer.epochs=2", "seed=3")])
def test_what_is_typed_beside_a_recipe_wins(composed, typed) -> None:
    for overrides in ((*typed, "experiment=mnist_lenet"), ("experiment=mnist_lenet", *typed)):
        cfg = composed(*overrides).cfg
        assert (cfg.optimizer.lr, cfg.trainer.epochs, cfg.seed) == (0.5, 2, 3)
        assert cfg.model.channels == [16, 32]
    assert composed("experiment=mnist_lenet", "data=kmnist").cfg.data.name == "kmnist"


@pytest.mark.parametrize(("trainer", "epochs"), [("debug", 1), ("quick", 2), ("overfit", 100)])
def test_a_trainer_beside_a_recipe_changes_its_training(composed, trainer, epochs) -> None:
    got = composed("experiment=digits_transfer", f"trainer={trainer}", "init.weights=x")
    assert got.cfg.trainer.epochs == epochs
    assert got.cfg.trainer.lr_scale == {"features": 0.1}
    assert got.choices["experiment"] == "digits_transfer"


def test_a_network_that_does_not_fit_the_recipe_is_one_line(built, refuses) -> None:
    typed = ["experiment=digits_cnn", "model=mlp"]
    with refuses(ConfigError, r"^model has no key") as caught:
        built(*typed)
    line = line_for(caught.value, typed)
    assert line is not None
    assert line.startswith("experiment=digits_cnn sets model.")
    assert ", which model=mlp does not have; type '~model." in line
    removed = ["~model.channels", "~model.kernel_size"]
    assert built(*typed, *removed).model


def test_a_recipe_without_its_file_of_weights_says_what_to_type(built, refuses) -> None:
    with refuses(ConfigError, r"^init\.weights=mnist_lenet cannot be read .*; type a run's"):
        built("experiment=digits_transfer")


@contextmanager
def space_of(*arguments: str, auto: bool | None = None) -> Iterator[LiveSpace]:
    """Yield the search space of `python -m sweeper --multirun ARGUMENTS`."""
    previous = HydraConfig.instance().cfg
    with initialize_config_dir(str(CONFIGS), job_name="sweeper", **COMPOSING):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
        space = parse_space(arguments, loader, auto)
        yield LiveSpace(space, Composer(loader, master, space))
    HydraConfig.instance().cfg = previous


def test_a_study_of_a_recipe_searches_the_options_that_it_chooses() -> None:
    with space_of("experiment=mnist_lenet") as live:
        searched = live.parameters({}).keys()
        assert searched >= {"model.hidden", "optimizer.lr", "scheduler.pct_start"}
        first = default_point(live)
    wanted = {"model.channels": "[16,32]", "optimizer.lr": 0.003, "data.batch_size": 128}
    assert wanted.items() <= first.items()


def test_several_recipes_are_swept_each_with_the_space_of_its_own_options() -> None:
    recipes = "experiment=digits_cnn,mnist_lenet,none"
    with space_of(recipes, auto=True) as live:
        assert [p.key for p in live.group_parameters] == ["experiment"]
        lenet = live.parameters({"experiment": "mnist_lenet"})
        assert "model.hidden" in lenet
        assert "model.hidden" not in live.parameters({"experiment": "digits_cnn"})
        assert lenet["model.channels"].name == "model.channels@mnist_lenet"
        config = live.composer.compose({"experiment": "mnist_lenet"}, 0, Path())
        assert config.hydra.runtime.choices.data == "mnist"
        assert config.data.batch_size == 128


def identity_of(*arguments: str) -> StudyIdentity:
    """Return the identity of the study of a command."""
    with space_of(*arguments) as live:
        node = live.composer.option_config({}).hydra.sweeper
        keys = OmegaConf.to_container(node, resolve=True)
        settings = read_settings({k: v for k, v in keys.items() if not k.startswith("_")})
        return study_identity(settings, live, is_grid=True)


def test_a_recipe_is_part_of_what_a_study_is() -> None:
    plain, recipe = (["optimizer.lr=0.1,0.2", *more] for more in ([], ["experiment=digits_cnn"]))
    names = [identity_of(*each).short_hash() for each in (plain, recipe, [*recipe, "seed=1"])]
    assert len(set(names)) == 3
    assert identity_of(*recipe).values["trainer.epochs"] == "20"


@pytest.mark.parametrize(
    ("scheduler", "is_growing"),
    [
        (["scheduler=none"], True),
        (["scheduler=cosine"], False),
        (["scheduler=cosine", "scheduler.horizon=null"], True),
    ],
)
def test_the_epochs_may_be_raised_unless_the_schedule_ends_with_the_run(
    scheduler, is_growing
) -> None:
    assert (
        "trainer.epochs" in identity_of("optimizer.lr=0.1,0.2", *scheduler).growing
    ) == is_growing


def test_the_checkpoint_of_a_recipe_is_evaluated_and_used(ran, tmp_path, capsys) -> None:
    small = ["trainer.train_limit=64", "trainer.val_limit=32", "model.channels=[4,8]"]
    ran("experiment=digits_cnn", "trainer=debug", *small)
    evaluate([f"checkpoint={tmp_path}/run", "--json"])
    assert '"images": 64' in capsys.readouterr().out  # those of trainer=debug
    predict([f"checkpoint={tmp_path}/run", "split=test", "count=2", "grid=null"])
    assert "true" in capsys.readouterr().out
