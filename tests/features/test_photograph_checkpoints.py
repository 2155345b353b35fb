"""Networks trained on photographs: what `evaluate` and `predict` make of files of any size."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import ExifTags, Image

from sweeper.data.batches import Streaming
from sweeper.errors import ConfigError
from sweeper.evaluate import evaluate
from sweeper.predict import predict
from sweeper.run.restore import Restored, restore
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.checkpoint_file import write_checkpoint

V2 = "torchvision.transforms.v2"
CROPS = (
    f"data.train_transform=[{{_target_: {V2}.RandomResizedCrop, size: 8}}]",
    f"data.eval_transform=[{{_target_: {V2}.Resize, size: 10}},"
    f"{{_target_: {V2}.CenterCrop, size: 8}}]",
)
WAYS = {
    "crops": CROPS,
    "crop": ("data.image_size=[8,12]",),
    "squash": ("data.image_size=8", "data.resize=squash"),
    "mixed": (CROPS[0], "data.image_size=8", "data.background=black"),
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write photographs of two classes and several sizes: upright, sideways and transparent."""
    rng = np.random.default_rng(0)
    for i in range(24):
        levels = rng.integers(0, 256, (4, 5, 4), dtype=np.uint8)
        image = Image.fromarray(levels).resize((20 + i, 30 - i // 2), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 1 + i % 8
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, exif=exif)
    return tmp_path / "photos"


@pytest.fixture
def trained(ran, photos, tmp_path, monkeypatch):
    """Return a function that trains on the photographs and returns the path of its checkpoint."""
    monkeypatch.chdir(tmp_path)

    def train(*overrides: str) -> Path:
        data = ("data=image_folder", f"data.root={photos}", "data.batch_size=4")
        ran(*data, "model=mlp", "trainer.epochs=1", *overrides)
        return tmp_path / "run/checkpoints/best.pt"

    return train


def inputs_of_files(restored: Restored, paths: list[Path]) -> torch.Tensor:
    streaming = Streaming(
        restored.files(paths), np.arange(len(paths)), torch.device("cpu"), False, 0
    )
    return torch.cat(
        [restored.pipeline(raw) for raw, _ in streaming.batches(np.arange(len(paths)), 4)]
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_the_exported_network_takes_photographs_that_have_one_size(
    trained, photos, tmp_path, capsys, way
) -> None:
    import mlflow.pytorch

    from sweeper.run.served import served_model
    from sweeper.tracking.model_files import write_model

    checkpoint = trained(*WAYS[way])
    write_model(lambda: served_model(checkpoint, "fp32"), tmp_path / "model")
    restored, paths = restore(checkpoint), sorted(photos.rglob("*.png"))[:4]
    (raw, _) = next(
        iter(
            Streaming(restored.files(paths), np.arange(4), torch.device("cpu"), False, 0).batches(
                np.arange(4), 4
            )
        )
    )
    images = restored.pipeline.steps[0](raw) if restored.pipeline.takes_photographs else raw
    outputs = mlflow.pytorch.load_model(str(tmp_path / "model"))(images)
    capsys.readouterr()
    predict([f"checkpoint={checkpoint}", "grid=null", "--json", *map(str, paths)])
    for answer, row in zip(json.loads(capsys.readouterr().out), outputs.tolist(), strict=True):
        predicted = {entry["class"]: entry["probability"] for entry in answer["top"]}
        assert predicted == dict(zip("ab", row, strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_predicted_as_it_is_evaluated(trained, photos, capsys, way: str) -> None:
    path = trained(*WAYS[way])
    restored = restore(path, ["trainer.device=cpu"])
    data = restored.data()
    files = restored._recipe.options.data_option.source().files()["test"].paths
    paths = [files[i] for i in data.subsets["test"].indices.tolist()]
    expected = torch.cat([images for images, _ in data.test()])
    assert torch.equal(inputs_of_files(restored, paths), expected)
    capsys.readouterr()
    evaluate([f"checkpoint={path}", f"folder={photos}", "--json"])
    evaluated = json.loads(capsys.readouterr().out)
    predict([f"checkpoint={path}", str(photos), "top=1", "--json"])
    answers = json.loads(capsys.readouterr().out)
    hits = sum(each["top"][0]["class"] == Path(each["image"]).parent.name for each in answers)
    assert hits / len(answers) == pytest.approx(evaluated["accuracy"])
    assert Path("predictions.png").is_file()


def test_a_checkpoint_from_before_squashes_as_it_was_trained(trained, photos) -> None:
    path = trained("data.image_size=8", "data.resize=squash")
    content = read_checkpoint(path)
    config = OmegaConf.create(content["config"])
    del config.data["resize"], config.data["background"]
    content["config"] = OmegaConf.to_yaml(config)
    old = path.with_name("old.pt")
    write_checkpoint(old, content)
    paths = sorted(photos.rglob("*.png"))[:5]
    before, now = (inputs_of_files(restore(each), paths) for each in (old, path))
    assert torch.equal(before, now)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            f"{{_target_: {V2}.ToDtype, scale: true}}",
            r"^data\.train_transform: remove ToDtype: this",
        ),
        ("{_target_: torchvision.transforms.ToTensor}", "remove ToTensor: this is done already"),
        (
            f"{{_target_: {V2}.Normalize, mean: [0.5], std: [0.2]}}",
            r"type data\.mean=\[0\.5\] data\.std=\[0\.2\]$",
        ),
    ],
)
def test_a_transform_that_is_done_already_is_one_line(
    ran, tmp_path, transform: str, message: str, refuses
) -> None:
    with refuses(ConfigError, message):
        ran(f"data.train_transform=[{transform}]")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.image_size=[8]", r"^data\.image_size=\[8\]: expected"),
        ("data.image_size=0", r"^data\.image_size=0: expected"),
        ("data.image_size=[8,-1]", r"^data\.image_size=\[8, -1\]: expected"),
        ("data.resize=fit", r"^data\.resize=fit: expected 'crop' or 'squash'"),
        ("data.background=whit", r"^data\.background=whit: expected a colour"),
        ("data.background=[1,2]", r"^data\.background=\[1, 2\]: expected a colour"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line(ran, photos, override, message, refuses) -> None:
    with refuses(ConfigError, message):
        ran("data=image_folder", f"data.root={photos}", override)


def test_images_of_one_size_can_be_cropped_to_another(ran, tmp_path) -> None:
    ran("data.image_size=[6,8]", "data.resize=crop", "trainer.epochs=1", "trainer.train_limit=64")
    config = OmegaConf.load(tmp_path / "run/config.yaml")
    assert config.data.image_size == [6, 8]
    assert "1x6x8" in (tmp_path / "run/model_summary.txt").read_text()


SMALL = ("data.image_size=8", "trainer.epochs=2")


@pytest.mark.parametrize(("before", "now"), [("true", "false"), ("false", "true")])
def test_a_run_goes_on_and_is_evaluated_where_its_data_has_moved_to(
    trained, photos, ran, before: str, now: str
) -> None:
    best = trained("data.image_size=8", f"data.resident={before}", "data.num_workers=0")
    last, there = best.with_name("last.pt"), photos.with_name("there")
    shutil.copytree(photos, there, copy_function=shutil.copyfile)
    shutil.rmtree(photos)
    other = (f"data.root={there}", f"data.resident={now}", "data.num_workers=0")
    evaluate([f"checkpoint={best}", *other, "--json"])
    data = ("data=image_folder", "data.batch_size=4", "model=mlp", *SMALL, *other)
    ran(*data, f"resume={last}", folder="rest")
    last = best.parents[2] / "rest/checkpoints/last.pt"
    assert len(read_checkpoint(last)["state"]["history"]) == 2


@pytest.mark.parametrize("resident", ["true", "false"])
def test_a_checkpoint_with_the_digest_of_an_earlier_version_is_accepted(
    trained, photos, ran, resident: str
) -> None:
    mode = (f"data.resident={resident}", "data.num_workers=0")
    best = trained("data.image_size=8", *mode)
    last = best.with_name("last.pt")
    data = restore(best).data()
    assert data.former_digest != data.digest
    for path in (best, last):
        content = read_checkpoint(path)
        content["identity"]["data"] = data.former_digest
        path.unlink()
        write_checkpoint(path, content)
    assert restore(best).data().digest == data.digest
    root = f"data.root={photos}"
    ran(
        "data=image_folder", root, "data.batch_size=4", "model=mlp", *SMALL, *mode, f"resume={last}"
    )
