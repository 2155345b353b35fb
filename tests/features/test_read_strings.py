"""Runs that read strings of digits: what they learn, draw and refuse."""

import json

import pytest
import torch

from sweeper.errors import ConfigError
from sweeper.evaluate import evaluate
from sweeper.predict import predict

READ = ("data=digit_strings", "model=crnn", "loss=ctc")
SMALL = (*READ, "trainer.train_limit=192", "trainer.epochs=2", "model.recurrent=0")


def test_strings_of_digits_are_read(ran, caplog) -> None:
    caplog.set_level("INFO")
    ran(*READ, "trainer.epochs=6", "optimizer.lr=0.005", "data.n_test=300")
    lines = (line for line in caplog.text.splitlines() if line.startswith("test sequence_accuracy"))
    assert float(next(lines).split()[-1]) >= 0.8


@pytest.mark.parametrize("loss", ["reduction=none", "reduction=sum", "blank=5", "blank=10"])
def test_every_reduction_and_blank_teaches_to_read(ran, loss) -> None:
    short = ("data.min_length=1", "data.max_length=1", "model.recurrent=0", "trainer.epochs=6")
    assert ran(*READ, *short, f"loss.{loss}") > 0.6  # chance is 0.1


def test_the_same_command_reads_the_same(ran) -> None:
    rates = [ran(*SMALL, "metric=val/character_error_rate", folder=f) for f in ("one", "two")]
    assert rates[0] == rates[1]
    assert rates[0] > 0


def test_the_share_of_right_strings_is_drawn_in_place_of_a_confusion_matrix(ran, tmp_path) -> None:
    ran(*SMALL, "figures=true")
    drawn = {path.stem for path in (tmp_path / "run/figures").iterdir()}
    assert drawn == {"learning_curves", "accuracy_by_length", "training_batch", "worst_mistakes"}


def test_a_mistake_shows_what_was_read_for_what(built) -> None:
    data = built(*READ).data.profile
    strings = {text: torch.tensor([*map(int, text)] + [-1]) for text in ("123", "1223", "")}
    assert data.label_text(strings["1223"]) == "1223"
    assert data.mistake_text(strings["123"], strings["1223"]) == "123, read as 1223"
    assert data.mistake_text(strings["123"], strings[""]) == "123, read as nothing"


def test_a_trained_network_reads_image_files(ran, tmp_path, capsys, built) -> None:
    ran(*SMALL)
    checkpoint = f"checkpoint={tmp_path}/run/checkpoints/best.pt"
    evaluate([checkpoint, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 1000
    assert 0 <= found["sequence_accuracy"] <= 1 <= 6 * found["character_error_rate"]
    data = built(*READ).data
    data.to_pictures(data.samples("test", [0])[0])[0].save(tmp_path / "string.png")
    predict([checkpoint, f"{tmp_path}/string.png", "--json", "grid=null"])
    (answer,) = json.loads(capsys.readouterr().out)
    assert set(answer["text"]) <= set("0123456789")
    assert 0 < answer["probability"] <= 1


CHANNELS = "model.channels=[4,M,4,M,4,M]"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["loss=ctc"],
            r"^loss=ctc learns from a string .*type loss=cross_entropy; or data=digit_s",
        ),
        (["data=digit_strings"], r"^loss=cross_entropy learns from one class .*: type loss=ctc"),
        (["data=digit_strings", "loss=ctc"], r"^model=cnn returns \(1, 11\) .*type model=crnn"),
        (["model=crnn"], r"^model=crnn returns \(1, 4, 10\) .* needs \(1, 10\): type .*model=cnn"),
        ([*READ, "metric=val/accuracy"], r"^metric=val/accuracy: .*metric=val/sequence_accuracy"),
        ([*READ, CHANNELS], r"^model=crnn with loss=ctc: 6 time steps .* 11 .*fewer M"),
        ([*READ, "loss.blank=11"], r"^loss\.blank=11: with 10 classes"),
        ([*READ, "loss.reduction=batchmean"], r"^loss=ctc .*batchmean"),
        ([*READ, "+loss.weight=balanced"], r"takes no class weights; type loss\.weight=null"),
        ([*READ, "data.source=svhn"], r"^data\.source=svhn: expected 'digits' or 'mnist'"),
        ([*READ, "data.n_val=0"], r"^data\.n_val=0: expected"),
        ([*READ, "+data.seed=1"], r"^data has no key seed"),
    ],
)
def test_what_does_not_go_with_strings_is_one_line(built, overrides, message, refuses) -> None:
    with refuses(ConfigError, message):
        built(*overrides)


@pytest.mark.parametrize("fix", ["data.image_size=96", "loss.zero_infinity=true"])
def test_what_a_refusal_says_to_type_works(built, fix) -> None:
    built(*READ, CHANNELS, fix)


def test_the_study_of_strings_maximises_their_own_metric(composed) -> None:
    cfg = composed(*READ, hydra=True)
    assert cfg.metric == "val/sequence_accuracy"
    assert cfg.hydra.sweeper.direction == "maximize"
