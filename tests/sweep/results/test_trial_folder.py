import optuna
import pytest
from omegaconf import read_write
from optuna.trial import create_trial

from sweeper.sweep.claim import Claim
from sweeper.sweep.lease import Lease
from sweeper.sweep.results.trial_folder import (
    LAYOUT_KEY,
    TrialLayout,
    has_files,
    layout_of,
    record_layout,
    with_own_folder,
)

DIRNAME = "${hydra.job.num}_${hydra.job.override_dirname}"


@pytest.fixture
def make_live(live, master):
    """Return a function that makes a space of trials with this layout."""

    def make(subdir="${hydra.job.num}", output_subdir=".hydra"):
        lines = [f"hydra.sweep.subdir={subdir}", f"hydra.output_subdir={output_subdir or 'null'}"]
        with read_write(master.hydra):
            master.hydra.overrides.hydra = lines
        return live("x=interval(0,9)", "steps=2")

    return make


@pytest.mark.parametrize(
    ("subdir", "output_subdir", "layout"),
    [
        ("${hydra.job.num}", ".hydra", TrialLayout("3")),
        (DIRNAME, None, TrialLayout("3_steps=2,x=1.5", None)),
        ("${x}/${hydra:job.num}", "meta/${hydra:job.num}", TrialLayout("1.5/3", "meta/3")),
        ("/runs/${steps}", "7", TrialLayout("/runs/2", "7")),
    ],
)
def test_a_layout_is_that_of_hydras_job(make_live, tmp_path, subdir, output_subdir, layout) -> None:
    composer = make_live(subdir, output_subdir).composer
    assert TrialLayout.of(composer.compose({"x": 1.5}, 3, tmp_path)) == layout


@pytest.mark.parametrize("layout", [TrialLayout("0"), TrialLayout("a/b", None)])
def test_a_layout_is_recorded_unless_it_is_the_usual_one(storage, layout) -> None:
    study = optuna.create_study(storage=storage)
    claim = Claim(study.ask()._trial_id, 0, Lease.new("c"))
    record_layout(storage, claim, layout)
    recorded = TrialLayout.recorded(study.trials[0])
    assert recorded == (None if layout == TrialLayout("0") else layout)


def test_a_later_attempt_records_its_own_layout(storage) -> None:
    study = optuna.create_study(storage=storage)
    trial_id = study.ask()._trial_id
    record_layout(storage, Claim(trial_id, 0, Lease.new("c")), TrialLayout("a", None))
    record_layout(storage, Claim(trial_id, 0, Lease.new("c", cuts=1)), TrialLayout("0"))
    assert TrialLayout.recorded(study.trials[0]) == TrialLayout("0")


@pytest.mark.parametrize(
    ("folders", "layout"),
    [
        (["0/.hydra"], TrialLayout("0")),
        (["0"], TrialLayout("0")),
        (["0_steps=2,x=1.5"], TrialLayout("0_steps=2,x=1.5", "meta")),
        ([], TrialLayout("0")),
    ],
)
def test_a_layout_that_was_not_recorded_is_found(make_live, tmp_path, folders, layout) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    x = optuna.distributions.FloatDistribution(0, 9)
    trial = create_trial(value=1.0, params={"x": 1.5}, distributions={"x": x})
    trial.number = 0
    assert layout_of(trial, tmp_path, make_live(DIRNAME, "meta")) == layout


@pytest.mark.parametrize("record", ["1", 5, [], ["a"], [1, None], ["a", 2], ["a", None, "b"], {}])
def test_a_record_that_no_worker_has_written_is_left_out(record) -> None:
    trial = create_trial(value=1.0, user_attrs={LAYOUT_KEY: record})
    assert TrialLayout.recorded(trial) is None


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("meta/0/config.yaml", False),
        ("app.log", False),
        ("stdout.log", False),
        ("model.pt", True),
        ("seed-0/app.log", True),
    ],
)
def test_the_files_of_hydra_are_not_those_of_the_task(make_live, tmp_path, file, expected) -> None:
    composer = make_live(output_subdir="meta/${hydra:job.num}").composer
    config = composer.compose({"x": 1.5}, 0, tmp_path)
    with read_write(config.hydra):
        config.hydra.job.name = "app"
    assert not has_files(tmp_path / "0", config)
    (tmp_path / "0/empty").mkdir(parents=True)
    assert not has_files(tmp_path / "0", config)
    (tmp_path / "0" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "0" / file).touch()
    assert has_files(tmp_path / "0", config) == expected


@pytest.mark.parametrize(
    ("subdir", "others", "expected"),
    [
        ("all", [], "all"),
        ("all", ["all"], "all-5"),
        ("./all", ["all"], "./all-5"),
        ("all", ["all-3", None], "all"),
        ("0", [None], "0-5"),
        (".", [], "5"),
        ("..", [], "../5"),
    ],
)
def test_a_trial_has_a_folder_that_no_other_has(
    storage, tmp_path, subdir, others, expected
) -> None:
    study = optuna.create_study(storage=storage)
    for other in others:
        record = {} if other is None else {LAYOUT_KEY: TrialLayout(other).record()}
        study.add_trial(create_trial(value=1.0, user_attrs=record))
    study.enqueue_trial({"x": 1})  # has no folder yet
    layout = with_own_folder(TrialLayout(subdir, "meta"), 5, tmp_path, study.trials)
    assert layout == TrialLayout(expected, "meta")
