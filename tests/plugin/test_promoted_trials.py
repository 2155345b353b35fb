"""Studies that pause trials and promote the best of them later."""

import json
import os
import random
import signal
import time

import pytest

from sweeper.sweep.curve import Place, is_paused
from sweeper.sweep.lease import Lease

SPACE = ("x=interval(-3,3)", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1",
         "hydra.sweeper.warm_start=false", "hydra.sweeper.n_jobs=2", "steps=27")  # fmt: skip
PROMOTION = (*SPACE, "resumes=true")
FIRST_RUNG = "hydra.sweeper.pruner.min_resource=1"
TWO_FINISH = "hydra.sweeper.pruner.finish=2"


def n_steps(app):
    return [len(t.intermediate_values) for t in app.trials()]


def n_states(app):
    """Return the numbers of complete and paused trials, of which there are no others."""
    trials = app.trials()
    complete = sum(t.state.name == "COMPLETE" for t in trials)
    paused = sum(map(is_paused, trials))
    assert complete + paused == len(trials), app.states()
    return complete, paused


def done(app):
    return [t for t in app.trials() if t.state.name == "COMPLETE"]


def best(app):
    return min(app.trials(), key=lambda t: abs(t.params["x"]))


def test_the_best_trials_are_finished_and_the_others_wait(app) -> None:
    out = app.run(*PROMOTION, FIRST_RUNG, "hydra.sweeper.n_trials=12")
    complete, paused = n_states(app)
    assert complete >= 2
    assert f"12 of 12 trials done, 0 of them pruned and {paused} paused, 0 failed" in out
    assert best(app).state.name == "COMPLETE"
    assert {n_steps(app)[t.number] for t in app.trials() if t.state.name == "COMPLETE"} == {27}
    assert set(n_steps(app)) <= {1, 3, 9, *range(10, 28)}
    assert sum(n >= 10 for n in n_steps(app)) >= 3  # two finish, and one more came into the race
    assert sum(n_steps(app)) < 27 * 12 / 2
    again = app.run(*PROMOTION, FIRST_RUNG, "hydra.sweeper.n_trials=12")
    assert "nothing to run: all 12 trials were done" in again


def test_a_task_that_raises_when_it_is_to_stop_is_paused_too(app) -> None:
    trials = (*PROMOTION, FIRST_RUNG, "raises_when_stopped=true", "hydra.sweeper.n_trials=6")
    app.run(*trials, "hydra.sweeper.n_jobs=1")
    complete, paused = n_states(app)
    assert complete >= 2
    assert paused >= 1
    assert best(app).state.name == "COMPLETE"


def test_without_a_first_rung_the_first_trial_shows_the_length(app) -> None:
    app.run(*PROMOTION, "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=1")
    assert n_steps(app)[0] == 27
    assert best(app).state.name == "COMPLETE"
    # The rungs are at 1.25 epochs, a twentieth of 27, and 3 and 9 times that, all rounded.
    assert set(n_steps(app)[1:]) <= {1, 4, 11, *range(12, 28)}


def test_a_larger_study_takes_up_what_was_paused(app) -> None:
    def points(*values: float) -> str:
        return f"hydra.sweeper.enqueue=[{','.join(f'{{x: {value}}}' for value in values)}]"

    good, bad = (0.1, 0.2, 0.3, 0.4, 0.5), (1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7)
    # With two workers, a trial that runs alone for a moment wins its race.
    study = (*PROMOTION, FIRST_RUNG, TWO_FINISH, "hydra.sweeper.n_jobs=1")
    app.run(*study, points(*good), "hydra.sweeper.n_trials=5")
    assert n_steps(app) == [27, 27, 10, 1, 1]
    app.run(*study, points(*good, *bad), "hydra.sweeper.n_trials=12")
    assert sum(n_states(app)) == 12
    # Now four of the twelve go on from the first rung.
    assert n_steps(app)[2:4] == [10, 3]


def test_longer_trials_take_up_what_was_paused(app) -> None:
    six = (*PROMOTION, TWO_FINISH, "tells_length=true", "hydra.sweeper.growing=[steps]",
           "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=1")  # fmt: skip
    app.run(*six, "steps=9", "hydra.sweeper.pruner.max_resource=9")
    assert n_steps(app).count(9) == 2
    out = app.run(*six, "steps=18", "hydra.sweeper.pruner.max_resource=18")
    assert sorted(n_steps(app))[-4:] == [9, 10, 18, 18]
    grown = {t.user_attrs["sweeper:grown"]["steps"] for t in app.trials() if t.state.is_finished()}
    assert grown == {9, 18}
    winner = min(done(app), key=lambda t: t.value)
    assert f"steps={len(winner.intermediate_values)}" in out.splitlines()[-1]
    out = app.run(*six, "steps=8", code=1)
    assert "steps: steps=18 -> steps=8" in out


@pytest.mark.parametrize("keys", [("resumes=false",), ("hydra.sweeper.resumable=false",)])
def test_a_task_that_cannot_go_on_is_not_paused(app, keys) -> None:
    app.run(*PROMOTION, FIRST_RUNG, *keys, "hydra.sweeper.n_trials=8")
    assert set(app.states()) <= {"COMPLETE", "PRUNED"}
    assert len(app.states()) == 8


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_each_launcher_promotes(app, launcher) -> None:
    app.run(*PROMOTION, FIRST_RUNG, f"hydra/launcher={launcher}", "hydra.sweeper.n_trials=6")
    complete, paused = n_states(app)
    assert (complete + paused, best(app).state.name) == (6, "COMPLETE")


def test_time_is_kept_back_for_the_best_trial(app) -> None:
    limit = ("hydra.sweeper.timeout=15s", "step_seconds=0.1", "hydra.sweeper.n_trials=400")
    app.run(*PROMOTION, FIRST_RUNG, *limit)
    trials = app.trials()
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    assert complete
    assert 2 < len(trials) < 400
    assert all(len(t.intermediate_values) == 27 for t in complete)


def kill_one(app, process, chooser) -> None:
    """Kill the command, or the process that runs one of the trials."""
    leases = [Lease.read(t.system_attrs) for t in app.trials() if t.state.name == "RUNNING"]
    pids = [lease.pid for lease in leases if lease and lease.process_is_alive()]
    os.kill(chooser.choice([process.pid, *pids, *pids]), signal.SIGKILL)


def test_a_study_with_promotions_survives_kills(app) -> None:
    command = (*PROMOTION, FIRST_RUNG, "hydra.sweeper.n_trials=12", "step_seconds=0.1",
               "hydra.sweeper.max_retries=30")  # fmt: skip
    chooser, process, kills = random.Random(0), app.start(*command), 0
    deadline = time.monotonic() + 300
    while True:
        assert time.monotonic() < deadline, "the study did not end"
        time.sleep(chooser.uniform(0.3, 1.0))
        if process.poll() is not None and process.returncode == 0:
            break
        if process.poll() is not None:
            process.communicate()
            process = app.start(*command)
        elif kills < 6 and (app.folder / "journal.log").exists():
            kill_one(app, process, chooser)
            kills += 1
    process.communicate()
    assert kills > 1
    assert sum(n_states(app)) == 12
    assert best(app).state.name == "COMPLETE"
    for trial in app.trials():
        log = app.folder / str(trial.number) / "steps.log"
        assert len(log.read_text()) == len(trial.intermediate_values)
        assert sorted(trial.intermediate_values) == list(range(len(trial.intermediate_values)))


def test_a_promoted_trial_has_its_stretches_on_record(app) -> None:
    app.run(*PROMOTION, FIRST_RUNG, "hydra.sweeper.n_trials=6")
    places = [Place.of(t) for t in app.trials()]
    assert all(p.stretches for p, t in zip(places, app.trials(), strict=True) if is_paused(t))
    assert all(s.end >= s.start and s.worker for p in places for s in p.stretches)
    assert json.loads(json.dumps([p.record() for p in places]))


def test_paused_trials_are_taken_up_though_there_are_no_others(app) -> None:
    six = (*PROMOTION, FIRST_RUNG, "hydra.sweeper.n_trials=6")
    app.run(*six, "hydra.sweeper.pruner.finish=1")
    complete, paused = n_states(app)
    assert paused > 0
    app.run(*six, "hydra.sweeper.pruner.finish=6")
    assert n_states(app) == (6, 0)
