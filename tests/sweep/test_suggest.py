import optuna

from sweeper.sweep.suggest import suggest


def ask(storage, seed=0):
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=seed))
    return study, study.ask()


def test_named_keys_come_first_then_the_chosen_options(live, storage):
    space = live("shape=sphere,plane", "x=interval(0,5)", auto=True)
    _, trial = ask(storage)
    params = suggest(trial, space)
    own = {"sphere": ["shape.radius", "shape.size"], "plane": ["shape.tilt", "shape.size"]}
    assert list(params) == ["shape", "x", *own[params["shape"]]]


def test_a_trial_that_was_cut_short_keeps_its_parameters(live, storage):
    space = live("x=interval(0,5)", "steps=range(1,9)")
    study, trial = ask(storage)
    trial.suggest_float("x", 0, 5)
    again = optuna.Trial(study, trial._trial_id)
    assert suggest(again, space)["x"] == study.trials[0].params["x"]


def test_a_preset_value_is_not_sampled(live, storage):
    study, _ = ask(storage)
    study.enqueue_trial({"x": 2.0})
    params = suggest(study.ask(), live("x=interval(0,5)", "steps=range(1,9)"))
    assert params["x"] == 2.0
