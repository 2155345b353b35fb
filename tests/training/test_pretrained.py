"""Weights from files: checkpoints, state dicts, and files that are neither."""

import pytest
import torch

from sweeper.build.recipe import verify
from sweeper.errors import ConfigError
from sweeper.training.checkpoint import FORMAT
from sweeper.training.pretrained import read_weights

SMALL = ("trainer.train_limit=100", "model.channels=[4,8]", "trainer.epochs=1")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_checkpoint_gives_the_averaged_weights_if_there_are_any(ran, tmp_path) -> None:
    for folder, more in (("plain", []), ("average", ["trainer.ema_decay=0.9"])):
        ran(*SMALL, *more, folder=folder)
        path = tmp_path / folder / "checkpoints/best.pt"
        content = torch.load(path, weights_only=True)
        average = content["updates"]["ema"]
        trained = content["model"]
        expected = {n: average[f"module.{n}"] for n in trained} if more else trained
        assert same(read_weights(str(path)), expected)
        assert not more or not same(expected, trained)


def test_weights_from_a_file_replace_those_of_any_init(built, tmp_path) -> None:
    model = built("seed=1").model
    torch.save(model.state_dict(), tmp_path / "a.pt")
    for init in ("default", "constant"):
        started = built(f"init={init}", f"init.weights={tmp_path}/a.pt").model
        assert same(started.state_dict(), model.state_dict())


def test_a_relative_path_refers_to_the_start_folder(ran, built, tmp_path) -> None:
    torch.save(built(*SMALL, "seed=1").model.state_dict(), tmp_path / "a.pt")
    assert ran(*SMALL, "init.weights=a.pt") != ran(*SMALL, folder="fresh")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        {"epoch": 3},
        [torch.zeros(2)],
        {"format": 1},
        {"format": 0, "model": {"weight": torch.zeros(2, 2)}},
        {"model": print},
        {0: torch.zeros(2, 2)},
        {"format": FORMAT},
        {"format": FORMAT, "model": {"weight": torch.zeros(2, 2)}, "updates": {}},
        {"format": FORMAT, "updates": {"ema": torch.zeros(2)}},
        {"format": FORMAT, "updates": {"ema": {0: torch.zeros(2)}}},
        {"format": FORMAT, "updates": {"ema": None}, "model": torch.zeros(2)},
        {"format": FORMAT, "updates": {"ema": None}, "model": [torch.zeros(3)]},
    ],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, content) -> None:
    path = tmp_path / "a.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ConfigError, match=r"holds no weights, or is damaged; type a run's") as info:
        read_weights(str(path))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (torch.Tensor.to_sparse, "sparse"),
        (torch.Tensor.to_sparse_csr, "sparse"),
        (lambda entry: entry.to("meta"), r"without values \(on the meta device\)"),
        (lambda entry: entry.to(torch.complex64), "complex"),
        (lambda entry: torch.quantize_per_tensor(entry, 0.1, 0, torch.qint8), "quantized"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(in beta|deprecated|sparse tensor invariants):UserWarning")
def test_a_tensor_that_cannot_be_copied_is_named(tmp_path, convert, message) -> None:
    entries = {"bias": torch.zeros(2), "head.weight": convert(torch.eye(2))}
    torch.save(entries, tmp_path / "a.pt")
    with pytest.raises(ConfigError, match=rf"a\.pt: head\.weight is {message}; type a run's"):
        read_weights(str(tmp_path / "a.pt"))


def test_a_network_may_have_a_weight_called_format(tmp_path) -> None:
    torch.save({"format": torch.zeros(2, 2)}, tmp_path / "a.pt")
    assert read_weights(str(tmp_path / "a.pt")).keys() == {"format"}


def test_a_damaged_checkpoint_is_refused_before_the_data_is_read(built, tmp_path) -> None:
    (tmp_path / "a.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match=r"^init\.weights="):
        built(f"init.weights={tmp_path}/a.pt", "data=image_folder", "data.root=nowhere")


def test_a_resumed_run_does_not_need_the_file(ran, tmp_path, built) -> None:
    weights = tmp_path / "a.pt"
    torch.save(built(*SMALL, "seed=1").model.state_dict(), weights)
    ran(*SMALL, "init.weights=a.pt", folder="first")
    weights.unlink()
    more = (*SMALL[:2], "trainer.epochs=2", "init.weights=a.pt")
    ran(*more, f"resume={tmp_path}/first/checkpoints/last.pt", folder="rest")
    with pytest.raises(ConfigError, match="cannot be read"):
        ran(*more, folder="fresh")


@pytest.mark.parametrize(
    ("changed", "message"),
    [("model=mlp", "has no weights that fit"), ("init.weights=b.pt", "cannot be read")],
)
def test_verify_refuses_weights_that_cannot_be_used(
    composed, built, tmp_path, monkeypatch, changed, message
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(built("seed=1").model.state_dict(), "a.pt")
    verify(composed("init.weights=a.pt", "trainer.freeze=[features]", hydra=True))
    with pytest.raises(ConfigError, match=message):
        verify(composed("init.weights=a.pt", changed, hydra=True))
