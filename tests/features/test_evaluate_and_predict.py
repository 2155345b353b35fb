"""The tools beside training, on the checkpoint of a small run."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from sweeper.api.untouched import untouched_torch
from sweeper.errors import CheckpointError, ConfigError, DataError, SweeperError
from sweeper.evaluate import evaluate, evaluation_folder
from sweeper.figures.grid_of_images import image_grid
from sweeper.predict import N_IMAGES, heading, predict, prediction_of
from sweeper.run.restore import restore
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.checkpoint_file import write_checkpoint
from sweeper.training.checkpoint_store import SaveCheckpoints
from sweeper.training.state import RunState
from sweeper.training.torch_settings import _default_threads

QUICK = ("trainer.epochs=3", "model.channels=[4,8]", "optimizer.lr=0.01")


@pytest.fixture
def checkpoint(ran_before, tmp_path, monkeypatch):
    """Return a function that returns the path of the best checkpoint of a run."""
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: str(ran_before(*QUICK, *overrides) / "checkpoints/best.pt")


@pytest.fixture
def pictures(tmp_path):
    """Write one digit of each class as an image file, in a folder a class."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for label in range(10):
        pixels = bunch.images[list(bunch.target).index(label)] * (255 / 16)
        path = tmp_path / f"pictures/{label}/one.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.rint(pixels).astype(np.uint8)).save(path)
    return tmp_path / "pictures"


def metrics(text: str) -> dict[str, float]:
    return {k: float(v) for k, v in re.findall(r"^test (loss|accuracy)\s+([\d.]+)$", text, re.M)}


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer.ema_decay=0.9",),
        ("loss=triplet_margin",),
        ("loss=cross_entropy", "loss.weight=balanced"),
        ("data.eval_transform=[{_target_: torchvision.transforms.v2.Resize, size: [12, 12]}]",
         "data.train_transform=[{_target_: torchvision.transforms.v2.Resize, size: [12, 12]}]"),
    ],
    ids=["plain", "averaged", "embedding", "weighted", "transformed"],
)  # fmt: skip
def test_evaluating_a_checkpoint_gives_the_numbers_of_its_run(
    ran, tmp_path, caplog, capsys, overrides
) -> None:
    caplog.set_level("INFO")
    ran(*QUICK, *overrides)
    evaluate([f"checkpoint={tmp_path}/run/checkpoints/best.pt", "--json"])
    found = json.loads(capsys.readouterr().out)
    printed = metrics(caplog.text)
    assert {name: round(found[name], 4) for name in ("loss", "accuracy")} == printed


@pytest.mark.parametrize(
    ("epoch", "instead"),
    [
        (0, r"; finish the epoch with the command of the run and resume=\S+/last\.pt$"),
        (1, r"; type checkpoint=\S+/best\.pt, or finish .* of the run and resume=\S+/last\.pt$"),
    ],
)
@pytest.mark.parametrize("decay", ["null", "0.9"])
def test_class_means_of_an_earlier_network_are_not_used(
    ran, pictures, tmp_path, monkeypatch, refuses, epoch, instead, decay
) -> None:
    def interrupt(callback: SaveCheckpoints, state: RunState) -> None:
        if (state.epoch, state.batch) == (epoch, 2):
            state.interrupt()

    monkeypatch.setattr(SaveCheckpoints, "on_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ran(*QUICK, "loss=triplet_margin", f"trainer.ema_decay={decay}")
    words = [f"checkpoint={tmp_path}/run/checkpoints/last.pt"]
    for tool, more in ((evaluate, []), (predict, [str(pictures), "grid=null"])):
        with refuses(CheckpointError, rf"^\S+/last\.pt was saved in the middle .*{instead}"):
            tool([*words, *more])


def test_torch_is_set_as_in_training_with_the_threads_that_are_typed(checkpoint, pictures) -> None:
    path = checkpoint("trainer.threads=3")
    default = _default_threads()
    image = f"{pictures}/1/one.png"
    for tool, *words in ((evaluate,), (predict, image)):
        for typed, threads in (([], default), (["trainer.threads=2"], 2)):
            with untouched_torch():
                torch.set_float32_matmul_precision("highest")
                tool([f"checkpoint={path}", *words, *typed])
                found = torch.get_num_threads(), torch.get_float32_matmul_precision()
            assert found == (threads, "high")


def test_a_run_lies_where_it_lies_whatever_the_name_of_a_folder(checkpoint, tmp_path) -> None:
    folder = tmp_path / "résultats\u3000à\u00a0moi"
    shutil.copytree(Path(checkpoint()).parent, folder / "checkpoints")
    evaluate([f"checkpoint={folder}"])
    assert (folder / "evaluation/test/metrics.json").is_file()


def test_a_batch_may_be_smaller_than_training_needs(checkpoint, capsys) -> None:
    path = checkpoint("loss=triplet_margin")
    for size in ("64", "1"):
        evaluate([f"checkpoint={path}", "--json", f"data.batch_size={size}"])
    first, second = capsys.readouterr().out.split("\n}\n")[:2]
    assert json.loads(first + "}")["accuracy"] == json.loads(second + "}")["accuracy"]


def test_an_evaluation_is_told_class_by_class(checkpoint, capsys, tmp_path) -> None:
    evaluate([f"checkpoint={checkpoint()}"])
    text = capsys.readouterr().out
    content = json.loads((tmp_path / "run/evaluation/test/metrics.json").read_text())
    matrix = np.array(content["confusion"])
    three = content["classes"]["3"]
    assert three["images"] == matrix[3].sum()
    assert three["recall"] == matrix[3, 3] / matrix[3].sum()
    assert three["precision"] == matrix[3, 3] / matrix[:, 3].sum()
    assert content["accuracy"] == np.trace(matrix) / matrix.sum()
    assert re.search(rf"^3 +{three['precision']:.4f} +{three['recall']:.4f} +37$", text, re.M)
    assert (tmp_path / "run/evaluation/test/confusion_matrix.png").is_file()


def test_an_ignored_class_counts_neither_in_the_accuracy_nor_in_the_confusion(
    checkpoint, capsys
) -> None:
    evaluate([f"checkpoint={checkpoint('loss.ignore_index=3')}", "--json"])
    found = json.loads(capsys.readouterr().out)
    matrix = np.array(found["confusion"])
    assert matrix[3].sum() == 0
    assert found["images"] == matrix.sum() == 359 - 37
    assert found["accuracy"] == np.trace(matrix) / matrix.sum()
    assert found["classes"]["3"]["images"] == 0
    assert found["classes"]["5"]["recall"] == matrix[5, 5] / matrix[5].sum()


def test_a_folder_of_classes_is_evaluated_without_the_data(
    checkpoint, pictures, capsys, tmp_path
) -> None:
    evaluate([f"checkpoint={checkpoint()}", f"folder={pictures}", f"out={tmp_path}/o", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 10
    assert [one["images"] for one in found["classes"].values()] == [1] * 10


def test_a_prediction_is_the_one_of_the_evaluation(checkpoint, pictures, capsys, tmp_path) -> None:
    path = checkpoint()
    evaluate([f"checkpoint={path}", f"folder={pictures}", "--json"])
    recall = {k: v["recall"] for k, v in json.loads(capsys.readouterr().out)["classes"].items()}
    predict([f"checkpoint={path}", str(pictures), "top=2", "--json", f"grid={tmp_path}/grid.png"])
    answers = json.loads(capsys.readouterr().out)
    assert [answer["image"].split("/")[-2] for answer in answers] == list(recall)
    hits = [float(a["top"][0]["class"] == a["image"].split("/")[-2]) for a in answers]
    assert hits == list(recall.values())
    assert all(len(a["top"]) == 2 for a in answers)
    assert (tmp_path / "grid.png").is_file()


def test_a_prediction_is_printed_a_line_an_image(checkpoint, pictures, capsys, tmp_path) -> None:
    image = str(pictures / "0/one.png")
    predict([f"checkpoint={checkpoint()}", image, "top=1", "grid=null"])
    assert re.fullmatch(rf"{re.escape(image)}  \d [01]\.\d{{3}}\n", capsys.readouterr().out)
    assert not (tmp_path / "predictions.png").exists()


def test_the_picture_is_named_where_it_disturbs_no_document(
    checkpoint, pictures, capsys, tmp_path
) -> None:
    path = checkpoint()
    predict([f"checkpoint={path}", str(pictures)])
    assert capsys.readouterr().out.splitlines()[-1] == "picture: predictions.png"
    predict([f"checkpoint={path}", str(pictures), "--json", f"grid={tmp_path}/a.png"])
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 10
    assert err == f"picture: {tmp_path}/a.png\n"


def test_a_split_is_predicted_with_its_true_labels(checkpoint, capsys, monkeypatch) -> None:
    titles = []

    def grid(pictures, names, **words):
        titles.extend(names)
        return image_grid(pictures, names, **words)

    path = checkpoint()
    monkeypatch.setattr("sweeper.figures.grid_of_images.image_grid", grid)
    predict([f"checkpoint={path}", "split=test", "count=12", "top=1", "--json"])
    answers = json.loads(capsys.readouterr().out)
    data = restore(Path(path)).data()
    assert [answer["true"] for answer in answers] == [
        data.profile.classes[label] for label in data.samples("test", range(12))[1]
    ]
    assert [answer["predicted"] for answer in answers] == [a["top"][0]["class"] for a in answers]
    first = f"true {answers[0]['true']}" + (
        "" if answers[0]["true"] == answers[0]["predicted"] else ", wrong"
    )
    assert titles[0].splitlines()[0] == first
    predict([f"checkpoint={path}", "split=test", "count=12", "grid=null"])
    lines = capsys.readouterr().out.splitlines()
    marks = [" x " in line for line in lines[2:14]]
    assert marks == [answer["true"] != answer["predicted"] for answer in answers]
    assert lines[-1] == f"{12 - sum(marks)} of 12 are right"


def test_images_that_cannot_be_drawn_are_left_out_of_the_figures(
    ran, tmp_path, monkeypatch, caplog, capsys
) -> None:
    module = f"own_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(
        "import torch\n\n\nclass Doubled:\n"
        "    def __call__(self, image):\n        return torch.cat([image, image])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    keys = ("data.train_transform", "data.eval_transform")
    doubled = [f"{key}=[{{_target_: {module}.Doubled}}]" for key in keys]
    watched = ("tracking.watch.images=4", "tracking.watch.layers=auto")
    caplog.set_level("INFO")
    ran(*QUICK, *doubled, *watched, "trainer.train_limit=200", "figures=true")
    line = "no images are drawn: they have 2 channels, and a picture has 1 or 3"
    told = [record.message for record in caplog.records if line in record.message]
    assert told == [f"tracking.watch.images: {line}", line]
    drawn = {path.stem for path in (tmp_path / "run/figures").iterdir()}
    assert drawn == {"learning_curves", "confusion_matrix"}
    assert [path.name for path in (tmp_path / "run/watch").iterdir()] == ["layers"]
    capsys.readouterr()
    words = [f"checkpoint={tmp_path}/run/checkpoints/best.pt", "split=test", f"trust={module}"]
    predict([*words, f"grid={tmp_path}/grid.png"])
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert not (tmp_path / "grid.png").exists()
    evaluate(words)
    assert capsys.readouterr().err == f"{line}\n"
    assert not (tmp_path / "run/evaluation/test/worst_mistakes.png").exists()


def test_the_data_of_a_split_may_lie_elsewhere(ran, image_folders, capsys, tmp_path) -> None:
    data = ("data=image_folder", f"data.root={image_folders}", "data.image_size=8")
    ran(*data, "trainer.epochs=1", "model=mlp", "data.batch_size=4")
    moved = image_folders.rename(tmp_path / "moved")
    words = [f"checkpoint={tmp_path}/run/checkpoints/best.pt", "split=val", "grid=null"]
    with pytest.raises(DataError):
        predict(words)
    predict([*words, f"data.root={moved}"])
    n_images = int(capsys.readouterr().out.splitlines()[-1].split()[2])
    assert 0 < n_images < N_IMAGES  # all that there are


def test_the_evaluation_of_a_copied_checkpoint_lies_beside_it(tmp_path) -> None:
    of_run = evaluation_folder(tmp_path / "run/checkpoints/best.pt", "test")
    assert of_run == tmp_path / "run/evaluation/test"
    assert evaluation_folder(tmp_path / "a/copy.pt", "val") == tmp_path / "a/evaluation/val"


def test_pictures_are_headed_by_the_names_of_their_files() -> None:
    answers = [{"image": path} for path in ("a/one.png", "b/one.png", "b/two.png")]
    headings = [heading(answer, answers) for answer in answers]
    assert headings == ["a/one.png", "b/one.png", "two.png"]


def test_the_pipeline_of_a_checkpoint_is_the_one_of_training(checkpoint) -> None:
    restored = restore(Path(checkpoint("data.image_size=16")))
    data = restored.data()
    raw = torch.from_numpy(data.subsets["val"].feed.pixels[data.subsets["val"].indices[:5]])
    torch.testing.assert_close(restored.pipeline(raw), data.samples("val", range(5))[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"^checkpoint has no value: type checkpoint="),
        (["checkpoint=nowhere.pt"], r"^No checkpoint at nowhere\.pt"),
        (["checkpoint={path}", "splt=val"], r"^splt=val: .*; type split=val$"),
        (["checkpoint={path}", "split=tset"], r"^split=tset: .*type split=val or split=test"),
        (["checkpoint={path}", "folder=nowhere"], r"^folder=nowhere is not a folder"),
        (["checkpoint={path}", "folder=x", "split=val"], r"^split=val and folder=x: .*not both"),
        (["checkpoint={path}", "out=/dev/null/x"], r"^out=/dev/null/x: "),
        (["checkpoint={path}", "data.rot=x"], r"no key data\.rot; did you mean root\?|no key"),
        (["checkpoint={path}", "--jsn"], r"^--jsn: .*did you mean --json\?"),
        (["checkpoint={path}", "photo.png"], r"^photo\.png: .*folder=photo\.png for a folder"),
        (["checkpoint={path}", "trainer.device=tpu"], r"^trainer\.device=tpu: "),
    ],
)
def test_what_evaluate_cannot_do_is_one_line(checkpoint, words, message, refuses) -> None:
    path = checkpoint() if "checkpoint={path}" in words else ""
    with refuses(SweeperError, message):
        evaluate([word.format(path=path) for word in words])


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ([], ConfigError, r"^no images to predict"),
        (["nowhere.png"], DataError, r"^nowhere\.png does not exist"),
        (["broken.png"], DataError, r"^broken\.png cannot be read as an image"),
        (["top=0", "broken.png"], ConfigError, r"^top=0: expected"),
        (["split=tst"], ConfigError, r"^split=tst: .* type split=train or split=test or split=val"),
        (["split=test", "count=9999"], ConfigError, r"^count=9999: .*type count=359$"),
        (["split=test", "count=x"], ConfigError, r"^count=x: expected a positive number"),
        (
            ["split=test", "broken.png"],
            ConfigError,
            r"^split=test and broken\.png: type a split, or",
        ),
        (["broken.png", "count=2"], ConfigError, r"^count is .*type split=test"),
        (["{picture}", "grid=no/where.png"], ConfigError, r"^grid=no/where\.png cannot be written"),
    ],
)
def test_what_predict_cannot_do_is_one_line(
    checkpoint, pictures, tmp_path, words, error, message, refuses
) -> None:
    path = checkpoint()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG and no more")
    with refuses(error, message):
        predict([f"checkpoint={path}", *(w.format(picture=pictures / "0/one.png") for w in words)])


@pytest.mark.parametrize(
    ("group", "node"),
    [
        ("model", {"_target_": "os.system", "command": "true"}),
        ("loss", {"_target_": "torch.nn.MSELoss", "adapter": "evil.Adapter"}),
        ("data", {"train_transform": [{"_target_": "builtins.eval", "_args_": ["1"]}]}),
        (
            "data",
            {"eval_transform": [{"_target_": "torchvision.transforms.v2.Lambda", "lambd": "x"}]},
        ),
    ],
)
def test_a_checkpoint_calls_no_code_that_nobody_vouches_for(
    checkpoint, tmp_path, group, node
) -> None:
    content = read_checkpoint(Path(checkpoint()))
    cfg = OmegaConf.create(content["config"])
    cfg[group] = node if group != "data" else {**cfg.data, **node}
    write_checkpoint(tmp_path / "evil.pt", content | {"config": OmegaConf.to_yaml(cfg)})
    with pytest.raises(ConfigError, match=r"is not part of sweeper: type trust="):
        restore(tmp_path / "evil.pt")


def test_ones_own_network_is_read_once_it_is_vouched_for(ran, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\n"
        "def net(num_classes: int, **_: object) -> nn.Module:\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    ran("trainer.epochs=1", "model={_target_: own_net.net}")
    path = tmp_path / "run/checkpoints/best.pt"
    with pytest.raises(ConfigError, match=r"calls own_net\.net, .* type trust=own_net "):
        restore(path)
    assert restore(path, trusted=["own_net"]).profile.classes == tuple("0123456789")


def test_a_checkpoint_without_a_config_is_refused(checkpoint, tmp_path) -> None:
    content = read_checkpoint(Path(checkpoint()))
    write_checkpoint(tmp_path / "bare.pt", content | {"config": "{}"})
    with pytest.raises(CheckpointError, match=r"bare\.pt has no config of a run"):
        restore(tmp_path / "bare.pt")


def test_a_checkpoint_of_before_a_key_was_there_is_read(checkpoint, tmp_path) -> None:
    content = read_checkpoint(Path(checkpoint()))
    cfg = OmegaConf.create(content["config"])
    del cfg.trainer.freeze, cfg.data.num_workers
    write_checkpoint(tmp_path / "old.pt", content | {"config": OmegaConf.to_yaml(cfg)})
    assert restore(tmp_path / "old.pt").profile.name == "digits"


@pytest.mark.parametrize("resolver", ["oc.decode", "oc.create"])
def test_a_checkpoint_cannot_have_a_resolver_write_its_config(
    checkpoint, tmp_path, resolver
) -> None:
    content = read_checkpoint(Path(checkpoint()))
    cfg = OmegaConf.create(content["config"])
    cfg.data.eval_transform = f"${{{resolver}:'[{{_target_: builtins.eval, a: 1}}]'}}"
    write_checkpoint(tmp_path / "evil.pt", content | {"config": OmegaConf.to_yaml(cfg)})
    with pytest.raises(CheckpointError, match=r"its config has an interpolation"):
        restore(tmp_path / "evil.pt")


@pytest.mark.parametrize("missing", ["data", "criterion", "updates", "identity", "model"])
def test_a_checkpoint_that_lacks_a_part_is_damaged(checkpoint, tmp_path, missing) -> None:
    content = read_checkpoint(Path(checkpoint()))
    del content[missing]
    write_checkpoint(tmp_path / "bad.pt", content)
    with pytest.raises(CheckpointError, match=rf"bad\.pt is damaged \(KeyError: '{missing}'\)"):
        restore(tmp_path / "bad.pt")


def test_images_that_were_trained_on_are_not_evaluated_unawares(
    ran, image_folders, tmp_path
) -> None:
    data = ("data=image_folder", f"data.root={image_folders}", "data.image_size=8")
    ran(*data, "trainer.epochs=1", "model=mlp", "data.batch_size=4")
    path = f"checkpoint={tmp_path}/run/checkpoints/best.pt"
    evaluate([path, "--json"])
    with pytest.raises(DataError, match=r"some of them differ; type folder=PATH"):
        evaluate([path, "data.test_fraction=0.5"])
    shutil.copy(image_folders / "a/0.png", image_folders / "a/00.png")
    with pytest.raises(DataError, match=r"^data=image_folder is not what .* was trained on"):
        evaluate([path])


@pytest.fixture
def image_folders(tmp_path):
    """Write twelve pictures of noise a class."""
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        path = tmp_path / "noise" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "noise"


def test_a_folder_without_classes_and_another_size_are_one_line(checkpoint, tmp_path) -> None:
    path = checkpoint()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"^folder=empty has no subfolder with the name of a class"):
        evaluate([f"checkpoint={path}", "folder=empty"])
    with pytest.raises(ConfigError, match=r"images of shape \(1, 8, 8\), not \(1, 16, 16\)"):
        restore(Path(path), ["data.image_size=16"])
    with pytest.raises(ConfigError, match=r"^out=.*run/config\.yaml is a file; type the path"):
        evaluate([f"checkpoint={path}", f"out={tmp_path}/run/config.yaml"])


def test_the_first_of_the_classes_shown_is_the_prediction(checkpoint) -> None:
    restored = restore(Path(checkpoint()))
    tied = torch.full((10,), 0.1)
    answer = prediction_of(restored, torch.tensor(7), tied, 2)
    assert answer["top"][0] == {"class": "7", "probability": pytest.approx(0.1)}
