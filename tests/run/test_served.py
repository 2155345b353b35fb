"""The network of a run as a model of MLflow gives the numbers of `predict`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sweeper.errors import CheckpointError, ConfigError
from sweeper.predict import predict
from sweeper.run.served import served_model
from sweeper.run.trust import targets_in
from sweeper.tracking.model_files import ModelError, write_model
from sweeper.tracking.tracker import ServedModel
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.checkpoint_file import write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = ("trainer.epochs=1", "trainer.train_limit=200", "trainer.val_limit=60")


def exported(checkpoint: Path, folder: Path) -> nn.Module:
    """Return the module that MLflow loads for the network of a checkpoint."""
    import mlflow.pytorch

    write_model(lambda: served_model(checkpoint, "fp32"), folder)
    model: nn.Module = mlflow.pytorch.load_model(str(folder))
    return model


def pictures(folder: Path, shape: tuple[int, int, int, int]) -> list[str]:
    """Write images of random pixels, and return their paths."""
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    paths = [str(folder / f"{i}.png") for i in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image.squeeze(-1)).save(path)
    return paths


def tensor_of(paths: list[str]) -> torch.Tensor:
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    return torch.from_numpy(images.reshape(len(images), 1, *images.shape[1:]))


@pytest.mark.parametrize("overrides", [(), ("data.image_size=12", "trainer.precision=bf16")])
def test_the_model_gives_the_numbers_of_predict_to_the_digit(
    ran, tmp_path, capsys, overrides
) -> None:
    ran(*QUICK, *overrides)
    checkpoint = tmp_path / "run/checkpoints/best.pt"
    paths = pictures(tmp_path, (5, 8, 8, 1))
    predict([f"checkpoint={checkpoint}", "grid=null", "top=10", "--json", *paths])
    answers = json.loads(capsys.readouterr().out)
    outputs = exported(checkpoint, tmp_path / "model")(tensor_of(paths))
    for answer, row in zip(answers, outputs.tolist(), strict=True):
        assert {int(entry["class"]): entry["probability"] for entry in answer["top"]} == dict(
            enumerate(row)
        )


READING = """
import pickle, sys

import mlflow.pytorch, torch


def refuse(*_, **__):
    raise AssertionError("a pickle is read")


sys.modules["sweeper"] = None
pickle.load = pickle.loads = refuse
pickle.Unpickler = type("Refusing", (pickle.Unpickler,), {"load": refuse})
model = mlflow.pytorch.load_model(sys.argv[1])
print(*model(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).shape)
"""


def test_reading_a_model_needs_no_pickle_and_no_sweeper(ran, tmp_path) -> None:
    ran(*QUICK)
    write_model(lambda: served_model(tmp_path / "run/checkpoints/best.pt", "fp32"), tmp_path / "m")
    command = [sys.executable, "-W", "ignore", "-c", READING, str(tmp_path / "m")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3 10\n"), done.stderr


def test_a_planted_checkpoint_calls_nothing_that_the_run_does_not_call(ran, tmp_path) -> None:
    ran(*QUICK)
    checkpoint = tmp_path / "run/checkpoints/best.pt"
    content = read_checkpoint(checkpoint)
    own = "sweeper.models.convnet.ConvNet"
    assert own in content["config"]
    write_checkpoint(checkpoint, content | {"config": content["config"].replace(own, "os.system")})
    with pytest.raises(ConfigError, match=r"calls os\.system, which is not part of sweeper"):
        served_model(checkpoint, "fp32")


def test_the_network_of_another_epoch_is_refused(ran, tmp_path, refuses) -> None:
    ran(*QUICK)
    checkpoint = tmp_path / "run/checkpoints/best.pt"
    assert served_model(checkpoint, "fp32", epoch=1).description["epoch"] == 1
    with refuses(CheckpointError, r"best\.pt is of epoch 1, not of epoch 2"):
        served_model(checkpoint, "fp32", epoch=2)


def test_the_own_config_tells_what_a_checkpoint_may_call() -> None:
    steps = [{"_target_": "mine.Crop"}]
    config = {"model": {"_target_": "mine.Net"}, "data": {"train_transform": steps}, "seed": 0}
    config["loss"] = {"_target_": "mine.Loss", "adapter": "mine.Adapter"}
    assert sorted(targets_in(config)) == ["mine.Adapter", "mine.Crop", "mine.Loss", "mine.Net"]


def test_the_models_file_says_what_goes_in_and_comes_out(ran, tmp_path) -> None:
    from mlflow.models import Model

    ran(*QUICK)
    exported(tmp_path / "run/checkpoints/best.pt", tmp_path / "model")
    content = Model.load(str(tmp_path / "model"))
    assert content.signature.inputs.to_dict()[0]["tensor-spec"] == {
        "dtype": "uint8", "shape": (-1, 1, 8, 8)
    }  # fmt: skip
    assert content.signature.outputs.to_dict()[0]["tensor-spec"] == {
        "dtype": "float32", "shape": (-1, 10)
    }  # fmt: skip
    assert content.metadata["classes"] == [str(digit) for digit in range(10)]
    requirements = (tmp_path / "model/requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in requirements} == {"mlflow", "numpy", "torch"}


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=resnet18", "model.channels=[8,8,8,8]"),
        ("model=mlp", "loss=bce_with_logits"),
        ("loss=triplet_margin", "loss.embedding_size=8"),
        ("model=torchvision", "model.name=mobilenet_v2", "data.image_size=32"),
        ("data.eval_transform=[{_target_: torchvision.transforms.v2.CenterCrop, size: 6}]",
         "data.train_transform=[{_target_: torchvision.transforms.v2.CenterCrop, size: 6}]"),
        ("trainer.ema_decay=0.9", "trainer.activation_checkpointing=true", "model=vgg11",
         "model.width=0.1"),
    ],
)  # fmt: skip
def test_networks_losses_and_transforms_can_be_exported(ran, tmp_path, overrides) -> None:
    ran(*QUICK, *overrides)
    model = exported(tmp_path / "run/checkpoints/best.pt", tmp_path / "model")
    assert model(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).shape == (3, 10)


def test_a_model_of_strings_gives_the_log_probabilities_of_predicts_answer(
    ran, tmp_path, capsys
) -> None:
    ran("data=digit_strings", "model=crnn", "loss=ctc", *QUICK)
    checkpoint = tmp_path / "run/checkpoints/best.pt"
    serving = served_model(checkpoint, "fp32")
    height, width = serving.images.shape[2:]
    paths = pictures(tmp_path, (3, height, width, 1))
    predict([f"checkpoint={checkpoint}", "grid=null", "--json", *paths])
    answers = json.loads(capsys.readouterr().out)
    outputs = exported(checkpoint, tmp_path / "model")(tensor_of(paths))
    best = outputs.amax(dim=2).sum(dim=1).exp()
    assert best.tolist() == [answer["probability"] for answer in answers]


class Stubborn(nn.Module):
    """A network whose way depends on the values of an image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().mean(dim=(1, 2, 3)) if images.sum() > 0 else images.float()


def test_a_network_that_cannot_be_exported_is_refused_in_one_line(tmp_path) -> None:
    images = torch.ones(2, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(ModelError) as refused:
        write_model(lambda: ServedModel(Stubborn(), images, {}), tmp_path / "model")
    assert "\n" not in str(refused.value)
