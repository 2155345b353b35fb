"""Tests of the command that prints the layers of a network."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from PIL import Image

from sweeper.errors import ConfigError
from sweeper.inspect import main, show

RESIZED = [
    f"data.{split}_transform=[{{_target_: torchvision.transforms.v2.Resize, size: [20, 30]}}]"
    for split in ("train", "eval")
]


@pytest.fixture(autouse=True)
def _no_hydra_afterwards() -> Iterator[None]:
    yield
    HydraConfig.instance().cfg = None


def shapes(table: str) -> list[str]:
    """Return the column of output shapes; the first one is that of the image."""
    lines = table[: table.index("\n\n")].splitlines()[3:-2]
    return [line.split()[1 if line.startswith("image") else 2] for line in lines]


def layer_table(overrides: Sequence[str], config_dir: Path | None = None) -> str:
    with redirect_stdout(StringIO()) as out:
        show(overrides, config_dir, None)
    return out.getvalue()


def last_shape(*overrides: str) -> str:
    return shapes(layer_table(overrides))[-1]


def test_the_table_equals_the_summary_of_a_run(ran, tmp_path) -> None:
    network = ["model=lenet", "data.batch_size=32", "trainer.activation_checkpointing=true"]
    ran(*network, "trainer.epochs=1", "trainer.train_limit=64")
    assert (tmp_path / "run/model_summary.txt").read_text() == layer_table(network)


@pytest.mark.parametrize(
    ("overrides", "image"),
    [
        (["data=cifar10"], "3x32x32"),
        (["data=svhn", "data.image_size=64"], "3x64x64"),
        (["data=voc", "loss=bce", "model=resnet50", "data.image_size=96"], "3x96x96"),
        (["data=digit_strings", "data.source=mnist", "loss=ctc", "model=crnn"], "1x28x168"),
        (["data=mnist", "model=vgg11", "model.width=0.1"], "1x32x32"),
        (RESIZED, "1x20x30"),
        (["model=torchvision", "model.name=mobilenet_v3_small"], "1x32x32"),
        (["model=mlp", "trainer.device=cuda", "trainer.precision=fp16"], "1x8x8"),
    ],
)
def test_the_image_has_the_shape_of_the_networks_input(overrides, image) -> None:
    assert shapes(layer_table(overrides))[0] == image


def test_the_number_of_outputs_follows_from_the_classes() -> None:
    assert last_shape("data=cifar100") == "100"
    assert last_shape("data=voc", "loss=bce") == "20"
    assert last_shape("data=digit_strings", "loss=ctc", "model=crnn") == "24x11"
    assert last_shape("loss=mse", "model=mlp") == "10"


def test_options_in_the_config_dir_are_used(tmp_path, monkeypatch) -> None:
    name = f"inspected_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, num_classes, hidden):\n"
        "        layers = nn.LazyLinear(hidden), nn.Linear(hidden, num_classes)\n"
        "        super().__init__(nn.Flatten(), *layers)\n\n"
        "    def forward(self, images):\n"
        "        return super().forward(images if images.max() < 2 else images / 2)\n"
    )
    options = tmp_path / "my conf, really/model"
    options.mkdir(parents=True)
    (options / "mine.yaml").write_text(f"_target_: {name}.Net\nhidden: 16\n")
    monkeypatch.syspath_prepend(tmp_path)
    table = layer_table(["model=mine", "model.hidden=7"], options.parent)
    assert shapes(table) == ["1x8x8", "64", "7", "10"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["model=alexnte"], "model=alexnte: there is no such option; type model=alexnet"),
        (["model.kernel_sise=3"], "type model.kernel_size=3"),
        (["trainer.epochs=abc"], "trainer.epochs=abc: expected"),
        (["optimizer.lr=["], "optimizer.lr=[: "),
        (["--config-dir", "nowhere"], "nowhere: there is no such folder"),
        (["data=image_folder"], "data.root has no value: type data.root="),
        (["data=image_folder", "data.root=nowhere"], "type data.root=FOLDER"),
        (["model.channels=[8,8,8,8]"], "8 -> conv 5x5"),
        (["model=mlp", "trainer.activation_checkpointing=true"], "finds no block"),
        (RESIZED[1:], "(1, 20, 30): expected equal shapes"),
    ],
)
def test_bad_input_is_one_line(arguments, line, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (1, "", 1), err
    assert line in err


def test_the_network_is_drawn_beside_the_table(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["model=mlp"])
    assert capsys.readouterr().out.endswith("picture: network.png\n")
    main(["model=mlp", "--picture", "other.png"])
    assert capsys.readouterr().out.endswith("picture: other.png\n")
    with Image.open("network.png") as first, Image.open("other.png") as second:
        assert first.tobytes() == second.tobytes()
        assert min(first.size) > 200


@pytest.mark.parametrize("path", ["no/where.png", "network.doc", "."])
def test_a_picture_that_cannot_be_written_is_refused(path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--picture", path])
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "type --picture FILE.png, or --no-picture" in err


def test_arguments_may_be_in_any_order(tmp_path, capsys) -> None:
    main(["model=mlp", "--config-dir", str(tmp_path), "model.hidden=[5]", "--no-picture"])
    assert shapes(capsys.readouterr().out)[-2:] == ["5", "10"]


def test_an_override_without_effect_is_named(capsys) -> None:
    main(["model=mlp", "model=cnn", "--no-picture"])
    assert capsys.readouterr().out.startswith("model=mlp: has no effect, since model=cnn after it")


def test_help_is_one_screen_and_loads_no_torch(tmp_path) -> None:
    code = (
        "import sys; from sweeper.inspect import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'mlflow', 'optuna'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("usage: python -m sweeper.inspect")
    assert len(lines) <= 30


def test_no_data_is_needed_and_nothing_is_written(tmp_path) -> None:
    folder = Path(tmp_path)
    folders = {"HOME": str(folder), "SWEEPER_CACHE": str(folder / "cache")}
    environment = {k: v for k, v in os.environ.items() if k != "XDG_CACHE_HOME"} | folders
    done = subprocess.run(
        [sys.executable, "-m", "sweeper.inspect", "model=vgg16", "data=cifar10", "--no-picture"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "14,986,698" in done.stdout
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss=ctc"], r"^loss=ctc learns from a string"),
        (["data=voc"], r"^loss=cross_entropy learns from one class"),
        (["model=crnn"], r"^model=crnn returns \(1, 4, 10\)"),
    ],
)
def test_a_config_that_a_run_refuses_is_refused(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        layer_table(overrides)


def test_images_with_boxes_are_drawn(shapes_tree: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["data=voc", f"data.root={shapes_tree}", "loss=bce"])
    out = capsys.readouterr().out
    assert "Linear" in out
    assert "the first 2 training images with their boxes: boxes.png" in out
    with Image.open(tmp_path / "boxes.png") as picture:
        assert picture.width > 700


def test_boxes_need_no_fitting_loss(shapes_tree: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["data=voc", f"data.root={shapes_tree}"])
    out = capsys.readouterr().out
    assert (tmp_path / "boxes.png").is_file()
    assert "no table of layers: loss=cross_entropy learns from" in out


def test_data_that_is_not_there_yet_has_no_picture(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    main(["data=voc", "loss=bce"])
    assert "boxes" not in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [tmp_path / "network.png"]


@pytest.fixture
def shapes_tree(draw_voc, tmp_path_factory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("tree"), train=3, val=2)
