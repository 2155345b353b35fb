"""Studies of recipes, and their records in plain files."""

import csv

import yaml

import sweeper

STUDY = ("experiment=digits_cnn,none", "trainer=debug", "tracking=csv", "hydra/launcher=basic",
         "hydra.sweeper.study_name=s")  # fmt: skip


def test_recipes_are_swept_and_each_trial_has_its_own_files(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    study = sweeper.sweep(*STUDY)
    assert study.trials["params_experiment"].tolist() == ["digits_cnn", "none"]
    for number, recipe in enumerate(("digits_cnn", "none")):
        folder = tmp_path / f"multirun/s/{number}"
        assert yaml.safe_load((folder / "hparams.yaml").read_text()) == {"experiment": recipe}
        with (folder / "metrics.csv").open(newline="") as lines:
            (row,) = csv.DictReader(lines)
        assert row["step"] == "1"
        assert ("test/accuracy" in row) == (number == study.best.number)
    capsys.readouterr()
    assert len(sweeper.sweep(*STUDY).trials) == 2
    assert "nothing to run: all 2 trials were done" in capsys.readouterr().err
