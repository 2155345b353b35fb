from pathlib import Path

import pytest

from sweeper.run.overview import built_text, config_text
from sweeper.run.pointless import pointless_lines
from sweeper.summary.table import summarise


def test_the_config_alone_says_what_is_going_to_run(composed) -> None:
    got = composed("scheduler=cosine", "trainer.epochs=1")
    assert config_text(got.cfg, got.choices, Path("outputs/x")).splitlines() == [
        "run           model=cnn data=digits optimizer=adam loss=cross_entropy scheduler=cosine",
        "training      1 epoch, batches of 64, learning rate 0.001",
        "folder        outputs/x",
    ]


def test_a_whole_number_is_shown_as_one_however_it_is_typed(composed) -> None:
    for typed in ("1e12", "1000000000000"):
        got = composed(f"data.batch_size={typed}", "trainer.epochs=2e3")
        shown = config_text(got.cfg, got.choices, Path("outputs/x")).splitlines()[1]
        assert "2,000 epochs, batches of 1,000,000,000,000, " in shown


def test_the_sizes_follow_once_they_are_known(built) -> None:
    experiment = built("trainer.train_limit=100", "trainer.val_limit=50", "trainer.threads=1")
    summary = summarise(experiment.model, experiment.data.profile.input_shape, 64)
    lines = built_text(experiment, summary).splitlines()
    assert lines[0] == "images        100 for training, 50 for validation, 359 for the test"
    assert lines[1].strip() == "8x8 pixels, 1 channel, 10 classes"
    assert lines[2].startswith("network       14,538 parameters, 231,680 multiply-adds")
    assert lines[3] == "device        cpu with 1 thread, fp32"
    assert max(map(len, lines)) < 80


PLATEAU = ("scheduler=plateau", "stopping=patience")


@pytest.mark.parametrize(
    ("overrides", "starts"),
    [
        ((), []),
        (("data.batch_size=500",), ["data.batch_size=500: there are 100 training images"]),
        (("optimizer.lr=50",), ["optimizer.lr=50: is a very high learning rate"]),
        (("model.kernel_size=17",), ["the kernel of features.1.0 has 17 pixels"]),
        (("model.kernel_size=16",), []),
        (
            (*PLATEAU, "stopping.patience=4"),
            ["stopping.patience=4: the run stops after 4 epochs without improvement, so no epoch"],
        ),
        ((*PLATEAU, "stopping.patience=5"), []),
        ((*PLATEAU[:1], "stopping=up"), []),
        ((*PLATEAU[1:], "stopping.patience=1"), []),
    ],
)
def test_a_value_that_cannot_be_meant_is_a_line(built, overrides, starts) -> None:
    experiment = built("trainer.train_limit=100", "trainer.val_limit=50", *overrides)
    lines = list(pointless_lines(experiment))
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
