"""What to type in place of what does not exist: the keys and options are those of the config."""

import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from sweeper.cli.advice import flag_advice, word_advice
from sweeper.cli.messages import check_words, line_for
from sweeper.cli.rewording import better_line
from sweeper.cli.shells import leftover_advice, variable_advice
from sweeper.cli.sweeps import sweep_advice
from sweeper.cli.vocabulary import Vocabulary, torchvision_model_name
from sweeper.configs import CONFIGS
from sweeper.errors import ConfigError
from sweeper.hydra_versions import COMPOSING


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary([])


def line_of(*overrides: str) -> str:
    """Return the line for overrides that Hydra does not compose."""
    with (
        initialize_config_dir(str(CONFIGS), **COMPOSING),
        pytest.raises((HydraException, OmegaConfBaseException)) as caught,
    ):
        compose("config", list(overrides))
    line = line_for(caught.value, overrides)
    assert line is not None
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("override", "typed"),
    [
        ("epochs=3", "trainer.epochs=3"),
        ("lr=0.1", "optimizer.lr=0.1"),
        ("batch_size=8", "data.batch_size=8"),
        ("batch-size=8", "data.batch_size=8"),
        ("n_trials=5", "hydra.sweeper.n_trials=5"),
        ("device=cpu", "trainer.device=cpu"),
        ("gpu=0", "trainer.device=cuda or trainer.device=cpu"),
        ("checkpoint=runs/last.pt", "resume=runs/last.pt"),
        ("learning_rate=0.1", "optimizer.lr=0.1"),
        ("data.train_limit=9", "trainer.train_limit=9"),
        ("trainer.max_epochs=3", "trainer.epochs=3"),
        ("model.kernel=3", "model.kernel_size=3"),
        ("dataset=mnist", "data=mnist"),
        ("Model=cnn", "model=cnn"),
        ("n_jobs=2", "hydra.launcher.n_jobs=2 or hydra.sweeper.n_jobs=2"),
        ("sampler=tpe", "hydra/sweeper/sampler=tpe"),
        ("stopping.patience=3", "stopping=patience stopping.patience=3"),
        ("optimizer=SGD", "optimizer=sgd"),
        ("model=resnet101", "model=torchvision model.name=resnet101"),
        ("model=ResNet-34", "model=resnet34"),
        ("loss=CrossEntropyLoss", "loss=cross_entropy"),
        ("scheduler=ReduceLROnPlateau", "scheduler=plateau"),
        ("data=cifar", "data=cifar10 or data=cifar100"),
        ("init@init.conv=kaimin", "init@init.conv=kaiming_normal"),
        ("experiment=mnist", "experiment=mnist_lenet"),
        ("recipe=digits_cnn", "experiment=digits_cnn"),
        ("experiment_name=x", "tracking.experiment=x"),
        ("trainer.accelerator=cpu", "trainer.device=cpu"),
        ("trainer.accelerator=gpu", "trainer.device=cuda"),
        ("trainer.devices=2", "trainer.device=cuda or trainer.device=cpu"),
        ("trainer=gpu", "trainer.device=cuda"),
        ("trainer=mps", "trainer.device=mps"),
        ("optimized_metric=val/acc", "metric=val/accuracy"),
        ("optimized_metric=val/loss", "metric=val/loss"),
        ("logger=many_loggers", "tracking=all"),
        ("ckpt_path=last.pt", "resume=last.pt"),
        ("hparams_search=lenet", "search=lenet"),
        ("debug=default", "trainer=debug"),
        ("debug=fdr", "trainer=debug"),
        ("debug=limit", "trainer=quick"),
        ("debug=overfit", "trainer=overfit"),
        ("arch=ResNet-34", "model=resnet34"),
        ("trainer.gradient_clip_val=1", "trainer.clip_norm=1"),
        ("optimizer.l2=0.1", "optimizer.weight_decay=0.1"),
        ("loss=categorical_crossentropy", "loss=cross_entropy"),
        ("model=conf/model/lenet.yaml", "model=lenet"),
        ("init@conv=orthogonal", "init@init.conv=orthogonal"),
        ("optimizer@optimizer=sgd", "optimizer=sgd"),
        ("data.workers=2", "data.num_workers=2"),
        ("optimizer.decay=0.1", "optimizer.weight_decay=0.1"),
        ("hydra.sweeper.seeds=2", "hydra.sweeper.finalist_seeds=2"),
        ("hydra.sweeper.max_failures=1", "hydra.sweeper.max_failure_rate=1"),
        ("hydra.sweeper.name=x", "hydra.sweeper.study_name=x"),
        ("hydra.sweeper.seed=3", "seed=3"),
        ("data.val_split=0.1", "data.val_fraction=0.1"),
        ("validation_split=0.1", "data.val_fraction=0.1"),
        ("trainer.overfit_batches=1", "trainer=overfit"),
        ("optimized_metric=test/acc", "metric=val/accuracy"),
        ("optimized_metric=test/f1", "metric=val/f1"),
        ("+trainer.precision=16", "trainer.precision=fp16"),
        ("+optimizer.lr=1", "optimizer.lr=1"),
        ("+tags=[a,b]", "+tags.KEY=VALUE"),
    ],
)
def test_a_wrong_key_or_option_finds_its_way(override, typed) -> None:
    line = line_of(override)
    assert line.startswith(f"{override}: ")
    assert line.endswith(f"; type {typed}")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("experiment=null", "experiment=null: there is no such option; type experiment=none"),
        ("model=1", "model=1: there is no such option; choose one of model=alexnet, "),
        ("optimizer=true", "optimizer=true: there is no such option; choose one of optimizer="),
        ("init@init.conv=1", "init@init.conv=1: there is no such option; choose one of init@init."),
        ("experiment={a:1}", "experiment={a:1}: experiment is a group; choose one of experiment="),
        ("+model=mlp", "+model=mlp: model=cnn is chosen already; type model=mlp"),
        (
            "+experiment=digits_cnn",
            "+experiment=digits_cnn: experiment=none is chosen already; type experiment=digits_cnn",
        ),
    ],
)
def test_a_group_that_is_given_something_else_than_an_option_says_what_it_takes(
    override, line
) -> None:
    with (
        initialize_config_dir(str(CONFIGS), **COMPOSING),
        pytest.raises((HydraException, OmegaConfBaseException, ValueError)) as caught,
    ):
        compose("config", ["seed=1", override])
    assert line_for(caught.value, ["seed=1", override]).startswith(line)


def test_an_option_whose_name_is_a_number_is_typed_as_a_text(tmp_path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "1.yaml").write_text("_target_: my_net.Net\n")
    arguments = ["--config-dir", str(tmp_path), "model=1"]
    error = ValueError("Config group override must be a string or a list. Got int")
    assert line_for(error, arguments) == (
        "model=1: the name of an option is a text; type \"model='1'\""
    )


def test_options_of_the_users_own_folder_are_named(tmp_path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "my_network.yaml").write_text("_target_: my_net.Net\n")
    for folder in (["--config-dir", str(tmp_path)], [f"hydra.searchpath=[file://{tmp_path}]"]):
        line = better_line("model=my_netwrk: there is no such option", [*folder, "model=my_netwrk"])
        assert line == "model=my_netwrk: there is no such option; type model=my_network"


def test_a_number_in_place_of_a_text_says_how_to_type_it() -> None:
    error = ConfigError("tracking.register=5: expected a valid string")
    assert line_for(error, ["tracking.register=5"]) == (
        "tracking.register=5: expected a valid string; type \"tracking.register='5'\" for a text"
    )


@pytest.mark.parametrize(
    ("override", "end"),
    [
        ("logger=wandb", "; choose one of tracking=all, tracking=csv, tracking=mlflow, "),
        ("hparams_search=mnist_optuna", "; choose one of search=auto, search=cnn, "),
        ("train=false", "; leave it out: python -m sweeper trains, and python -m sweeper.evaluate"),
        ("strategy=ddp", "; one network on several GPUs is not here; a study trains one trial on"),
        ("hydra.sweeper.max_batch_size=4", "; --cfg hydra shows the keys"),
    ],
)
def test_what_would_be_refused_too_is_not_advised(override, end) -> None:
    assert f"{override}: there is no key {override.partition('=')[0]}{end}" in line_of(override)


def test_a_trainer_for_several_gpus_says_what_a_study_does() -> None:
    line = "trainer=ddp: there is no such option; one network on several GPUs is not here; a study"
    assert line_of("trainer=ddp").startswith(line)


@pytest.mark.parametrize("option", ["default", "early_stopping"])
def test_the_options_of_another_programs_callbacks_are_not_advised_again(option) -> None:
    override = f"callbacks={option}"
    line = better_line("the config has no key callbacks; choose one of seed", [override])
    assert line is not None
    assert line.startswith(f"{override}: there is no key callbacks; type stopping=patience to stop")


def test_a_metric_of_the_test_split_is_named_as_it_is_here() -> None:
    reason = "metric=test/acc: the test split must not decide anything"
    line = better_line(f"{reason}; type metric=val/acc", ["metric=test/acc"])
    assert line == f"{reason}; type metric=val/accuracy"
    assert better_line(f"{reason}; type metric=val/f1", ["metric=test/f1"]) is None


def test_a_key_of_another_launcher_names_it() -> None:
    keys = "hydra/launcher={0} hydra.launcher.timeout_min=60"
    line = line_of("hydra.launcher.timeout_min=60")
    assert line.endswith(
        f"; type {keys.format('submitit_local')} or {keys.format('submitit_slurm')}"
    )


def test_a_launcher_of_other_makers_that_is_typed_is_to_be_left_out() -> None:
    path = "hydra_plugins.foo.FooLauncher"
    typed = f"hydra.launcher._target_={path}"
    line = line_for(RuntimeError(f"Unknown plugin class : '{path}'"), ["--multirun", typed])
    assert line is not None
    assert line.startswith(
        f"{typed}: is not installed; leave it out, or choose one of hydra/launcher="
    )


OF_GLOBAL = "# @package _global_\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "defaults: [override /trainer: debug]",
            "experiment/mine.yaml: the option of trainer is chosen after this file; type "
            "trainer=NAME, or write its values under trainer: in the file",
        ),
        (
            "defaults: [override /search: cnn]",
            "experiment/mine.yaml: the option of search is chosen after this file; type "
            "search=NAME",
        ),
        (
            "tags: [a, b]",
            "experiment/mine.yaml: tags has keys of its own; write KEY: VALUE below it",
        ),
        (
            "hydra: {launcher: {partition: gpu}}",
            "experiment/mine.yaml: hydra.launcher.partition is a key of other launchers; type "
            "hydra/launcher=submitit_slurm",
        ),
    ],
)
def test_a_file_that_cannot_be_composed_says_what_to_write_in_it(tmp_path, content, line) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(OF_GLOBAL + content)
    overrides = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]
    with (
        initialize_config_dir(str(CONFIGS), **COMPOSING),
        pytest.raises(HydraException) as caught,
    ):
        compose("config", overrides, return_hydra_config=True)
    assert line_for(caught.value, overrides) == line


def test_a_searched_key_that_does_not_exist_is_named_as_it_stands_in_the_file(tmp_path) -> None:
    (tmp_path / "search").mkdir()
    content = "hydra: {sweeper: {params: {model.optimizer.lr: 'interval(0.1, 1)'}}}"
    (tmp_path / "search" / "mine.yaml").write_text(OF_GLOBAL + content)
    message = "model.optimizer.lr=0.1 search=mine: Could not override 'model.optimizer.lr'."
    assert better_line(message, [f"hydra.searchpath=[{tmp_path}]", "search=mine"]) == (
        "hydra.sweeper.params.model.optimizer.lr: there is no key model.optimizer.lr; "
        "write optimizer.lr in its place"
    )


def test_a_recipe_or_a_search_may_choose_the_launcher(tmp_path) -> None:
    for group, launcher in (("experiment", "joblib"), ("search", "submitit_slurm")):
        (tmp_path / group).mkdir()
        content = f"{OF_GLOBAL}defaults: [override /hydra/launcher: {launcher}]"
        (tmp_path / group / "mine.yaml").write_text(content)
    expected = {
        (): "local",
        ("experiment=mine",): "joblib",
        ("experiment=mine", "search=mine"): "submitit_slurm",
        ("search=mine", "hydra/launcher=basic"): "basic",
    }
    for typed, launcher in expected.items():
        with initialize_config_dir(str(CONFIGS), **COMPOSING):
            overrides = [f"hydra.searchpath=[file://{tmp_path}]", *typed]
            config = compose("config", overrides, return_hydra_config=True)
        assert config.hydra.runtime.choices["hydra/launcher"] == launcher


def test_a_key_of_other_options_is_named_with_each_of_them() -> None:
    options = ("muon", "rmsprop", "sgd")
    typed = " or ".join(f"optimizer={name} optimizer.momentum=0.9" for name in options)
    line = line_of("optimizer.momentum=0.9")
    assert line == f"optimizer.momentum=0.9: optimizer=adam has no key momentum; type {typed}"


def test_the_options_that_were_chosen_are_followed() -> None:
    assert line_of("optimizer=sgd", "momentum=0.5").endswith("; type optimizer.momentum=0.5")


def test_a_key_that_is_like_no_other_gets_the_keys_of_its_group() -> None:
    assert "its keys are epochs, device, " in line_of("trainer.xyz=1")


def test_the_users_own_options_are_known(tmp_path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("_target_: my.Net\nflavour: sweet\n")
    found = Vocabulary([], str(tmp_path)).suggestions("flavour")
    assert [(each.key, each.choice) for each in found] == [("model.flavour", "model=mine")]


def test_torchvisions_names_are_read_without_its_import() -> None:
    assert torchvision_model_name("densenet121") == "densenet121"
    assert torchvision_model_name("nosuchnet") is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["model", "cnn"], "model: type model=cnn"),
        (["cnn"], "cnn: type model=cnn"),
        (["digits_cnn"], "digits_cnn: type experiment=digits_cnn"),
        (["seed", "=", "1"], "seed = 1: has spaces around =; type seed=1"),
        (["lr=", "0.1"], "lr= 0.1: has spaces around =; type optimizer.lr=0.1"),
        (["optimizer.lr", "=0.1"], "optimizer.lr =0.1: has spaces around =; type optimizer.lr=0.1"),
        (["optimizer.lr:0.1"], "optimizer.lr:0.1: type optimizer.lr=0.1"),
        (["epochs"], "epochs: type trainer.epochs=VALUE"),
        (["gpus", "1"], "gpus: type trainer.device=cuda or trainer.device=cpu"),
        (["evaluate"], "evaluate: is a command of its own; type python -m sweeper.evaluate --help"),
        (["multirun"], "multirun: type --multirun to start a study"),
        (["help"], "help: type --help"),
        (
            ["model=cnn,", "lenet"],
            "model=cnn, lenet: is one value with spaces; type model=cnn,lenet",
        ),
        (
            ["model.channels=[8", "16]", "seed=1"],
            "model.channels=[8 16]: is one value with spaces; type 'model.channels=[8 16]'",
        ),
        (
            ["optimizer.lr=tag(log,", "interval(1e-4,", "1))"],
            "optimizer.lr=tag(log, interval(1e-4, 1)): is one value with spaces; "
            "type 'optimizer.lr=tag(log,interval(1e-4,1))'",
        ),
        (
            ["\u2212\u2212multirun", "model=cnn,lenet"],
            "\u2212\u2212multirun: has another dash than the keyboard's; "
            "type --multirun",
        ),
        (["a=1", "what"], "what: is neither GROUP=OPTION nor KEY=VALUE; --help shows the groups"),
    ],
)  # fmt: skip
def test_a_word_that_is_no_override_finds_its_way(vocabulary, words, line) -> None:
    assert word_advice(words, vocabulary) == line
    with pytest.raises(ConfigError):
        check_words(words)


def test_a_checkpoint_that_is_typed_alone_names_the_commands_for_it(vocabulary) -> None:
    line = word_advice(["outputs/x/best.pt"], vocabulary)
    assert "python -m sweeper.evaluate checkpoint=outputs/x/best.pt" in line


@pytest.mark.parametrize("words", [["model=cnn", "~optimizer.lr", "x="], ["a=b c"], []])
def test_overrides_pass(words) -> None:
    check_words(words)


@pytest.mark.parametrize(
    ("flag", "after", "end"),
    [
        ("--epochs=3", None, "type trainer.epochs=3"),
        ("--model", "cnn", "type model=cnn"),
        ("--n-trials", "5", "type hydra.sweeper.n_trials=5"),
        ("-lr", "0.1", "type optimizer.lr=0.1"),
        ("--debug", None, "type trainer=debug"),
        ("--debug", "limit", "type trainer=quick"),
        ("--gpus", "1", "type trainer.device=cuda or trainer.device=cpu"),
        ("--devices=1", None, "type trainer.device=cuda or trainer.device=cpu"),
        ("--lr", "--multirun", "type optimizer.lr=VALUE"),
        ("--lr", "-0.1", "type optimizer.lr=-0.1"),
        ("--mutlirun", "model=cnn", "type --multirun"),
        ("--qq", None, "type KEY=VALUE without dashes"),
    ],
)
def test_a_flag_that_does_not_exist_finds_its_way(vocabulary, flag, after, end) -> None:
    line = flag_advice(flag, after, vocabulary)
    assert line.startswith(f"{flag}: ")
    assert line.endswith(end)


@pytest.mark.parametrize(
    ("sweep", "typed"),
    [
        ("log(1e-4,1e-1)", "tag(log,interval(1e-4,1e-1))"),
        ("loguniform(1e-4, 1e-1)", "tag(log,interval(1e-4,1e-1))"),
        ("log(interval(1e-4,1e-1))", "tag(log,interval(1e-4,1e-1))"),
        ("interval(1e-4,1e-1,log=true)", "tag(log,interval(1e-4,1e-1))"),
        ("suggest_float(1e-4,1e-1,log=True)", "tag(log,interval(1e-4,1e-1))"),
        ("uniform(0,1)", "interval(0,1)"),
        ("randint(1,9)", "range(1,9)"),
        ("integer(1,6)", "int(interval(1,6))"),
        ("int_range(1,6)", "int(interval(1,6))"),
        ("lograndint(1,100)", "tag(log,int(interval(1,99)))"),
        ("qlograndint(1,100,2)", "tag(log,int(interval(1,100)))"),
        ("tune.randint(1, 6)", "range(1,6)"),
        ("tune.loguniform(1e-4, 1e-1)", "tag(log,interval(1e-4,1e-1))"),
        ("tune.choice([3, 5])", "choice(3,5)"),
        ('trial.suggest_int("n", 16, 128)', "int(interval(16,128))"),
        ('suggest_float("lr",1e-4,1e-1,log=True)', "tag(log,interval(1e-4,1e-1))"),
        ("suggest_float(lr,1e-4,1e-1,log=True)", "tag(log,interval(1e-4,1e-1))"),
        ('suggest_categorical("k",[3,5])', "choice(3,5)"),
        ('suggest_float("lr",low=1e-4,high=1e-1,log=True)', "tag(log,interval(1e-4,1e-1))"),
        ('trial.suggest_float(name="lr", low=1e-4, high=1)', "interval(1e-4,1)"),
        ('suggest_float("logit",0,1,log=False)', "interval(0,1)"),
        ("tune.uniform(lower=0,upper=1)", "interval(0,1)"),
        ('suggest_categorical("k",choices=[3,5])', "choice(3,5)"),
        ("randint(low=1,high=10)", "range(1,10)"),
        ("randint(10)", "range(0,10)"),
        ('suggest_int("n",16,128,step=16)', "range(16,144,16)"),
        ('suggest_discrete_uniform("x",0,1,0.1)', "range(0,1.05,0.1)"),
        ("tune.qrandint(8,64,8)", "range(8,72,8)"),
        ("tune.quniform(0,1,0.3)", "range(0,1.05,0.3)"),
        ('hp.Int("n",min_value=32,max_value=512,step=32)', "range(32,544,32)"),
        ("np.linspace(0,1,5)", "interval(0,1)"),
        ("tune.choice(range(1,4))", "range(1,4)"),
        ("log(range(1,100))", "tag(log,int(interval(1,99)))"),
        ("int(tag(log,interval(1,10)))", "tag(log,int(interval(1,10)))"),
        ("log(int(interval(1,10)))", "tag(log,int(interval(1,10)))"),
        ('Real(1e-4,1e-1,prior="log-uniform")', "tag(log,interval(1e-4,1e-1))"),
        ('hp.uniform("x",0,0.5)', "interval(0,0.5)"),
        ('hp.choice("x",[0,0.5])', "choice(0,0.5)"),
        ('hp.loguniform("lr",-11,-2)', "tag(log,interval(1.67e-05,0.135))"),
        ("np.logspace(-5,-1,5)", "tag(log,interval(1e-05,0.1))"),
        ('choice(["adam","sgd"])', "choice(adam,sgd)"),
        ("choice([1,2],[3])", "choice([1,2],[3])"),
        ("categorical(a,b)", "choice(a,b)"),
        ("choice[1,2]", "choice(1,2)"),
        ("(1,2)", "interval(1,2)"),
    ],
)
def test_a_sweep_of_another_program_becomes_hydras(sweep, typed) -> None:
    assert sweep_advice(f"x={sweep}", is_multirun=True).endswith(f"; type 'x={typed}'")
    assert sweep_advice(f"x={sweep}", is_multirun=False).endswith(f"; type --multirun 'x={typed}'")


@pytest.mark.parametrize(
    ("sweep", "values"),
    [
        ("quniform(0,1,0.1)", [i / 10 for i in range(11)]),
        ("quniform(0,1,0.3)", [0, 0.3, 0.6, 0.9]),
        ("quniform(-0.3,0.3,0.1)", [i / 10 for i in range(-3, 4)]),
        ("quniform(0,7e-4,1e-4)", [i / 10_000 for i in range(8)]),
        ("quniform(1,4,1.5)", [1, 2.5, 4]),
        ("qrandint(1,8,3)", [1, 4, 7]),
        ("qrandint(8,64,8)", list(range(8, 65, 8))),
    ],
)
def test_the_advice_for_a_sweep_with_a_step_has_its_values_and_no_more(sweep, values) -> None:
    line = sweep_advice(f"x={sweep}", is_multirun=True)
    override = OverridesParser.create().parse_override(shlex.split(line.partition("; type ")[2])[0])
    assert [*override.value().range()] == pytest.approx(values)


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("1e-4..1e-1", "interval(1e-4,1e-1)"),
        ("0.1:0.5", "interval(0.1,0.5)"),
        ("1e-4-1e-1", "interval(1e-4,1e-1)"),
        ("range(1..5)", "int(interval(1,5))"),
    ],
)
def test_two_ends_of_an_interval_are_written_as_hydra_reads_them(value, typed) -> None:
    line = sweep_advice(f"x={value}", is_multirun=True)
    assert line == f"x={value}: is no sweep as it stands; type 'x={typed}'"
    error = ConfigError(f"x={value}: expected a valid number (at each point of the search space)")
    assert line_for(error, ["--multirun", f"x={value}"]) == line


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("hydra.sweeper.n_trials", "1e3x", "a valid integer; type {}=1000"),
        ("hydra.sweeper.n_trials", "1e3", "a valid integer; type {}=1000"),
        ("hydra.sweeper.n_trials", "5k", "a valid integer; type {}=5000"),
        ("hydra.sweeper.n_trials", "none", "a valid integer; type {}=null"),
        ("hydra.sweeper.n_trials", "many", "a valid integer; type {}=NUMBER"),
        ("hydra.sweeper.repeats", "0.5", "a valid integer; type {}=1"),
        ("hydra.sweeper.lease_seconds", "1min", "a valid number; type {}=60.0"),
        ("hydra.sweeper.check", "maybe", "true or false"),
        ("hydra.job.chdir", "somewhere", "true or false"),
    ],
)
def test_a_typed_key_of_hydra_says_what_it_takes(key, value, expected) -> None:
    line = line_of("hydra/sweeper=sweeper", f"{key}={value}")
    assert line == f"{key}={value}: expected {expected.format(key)}"


def test_a_number_with_other_letters_behind_it_is_typed_without_them() -> None:
    line = better_line("trainer.epochs=10x: expected a valid integer", ["trainer.epochs=10x"])
    assert line == "trainer.epochs=10x: expected a valid integer; type trainer.epochs=10"
    line = better_line("optimizer.lr=low: expected a valid number", ["optimizer.lr=low"])
    assert line == "optimizer.lr=low: expected a valid number; type optimizer.lr=0.001"


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("trainer.epochs", "1,000", "1000, without commas"),
        ("data.batch_size", "1,048,576", "1048576, without commas"),
        ("hydra.sweeper.n_trials", "1,000", "1000, without commas"),
        ("optimizer.lr", "0,01", "0.01, with a point"),
        ("hydra.sweeper.max_failure_rate", "0,05", "0.05, with a point"),
    ],
)
def test_a_number_with_a_comma_is_no_sweep(key, value, typed) -> None:
    override = f"{key}={value}"
    for flags in ([], ["--multirun"]):
        with pytest.raises(ConfigError) as caught:
            check_words([override], [*flags, override])
        values = value.replace(",", " and ")
        assert (
            str(caught.value) == f"{override}: is read as the values {values}; type {key}={typed}"
        )


@pytest.mark.parametrize(
    "override",
    ["data.batch_size=64,128", "model.dropout=0,0.05", "run_name=1,007", "seed=0,1", "seed=1,07"],
)
def test_values_to_try_may_be_numbers(override) -> None:
    check_words([override])


@pytest.mark.parametrize(
    ("message", "arguments", "line"),
    [
        (
            "Cannot find primary config 'foo'. Check that it's in your config search path.",
            ["--config-name=foo"],
            "--config-name foo: there is no such config; leave it out, or type --config-dir FOLDER",
        ),
        (
            "Cannot find primary config 'digits_cnn'. Check that it's in your config search path.",
            ["-cn", "digits_cnn"],
            "--config-name digits_cnn: there is no such config; type experiment=digits_cnn in its",
        ),
        (
            "Cannot find primary config 'config'. Check that it's in your config search path.",
            ["--config-path=/x"],
            "--config-path: the folder has no config.yaml; leave it out, or type --config-dir",
        ),
        (
            "Primary config directory not found. Check that the config directory '/x' exists and "
            "readable",
            ["--config-path=/x"],
            "--config-path: there is no folder /x; leave it out, or type --config-dir FOLDER",
        ),
        (
            "Sweeping over Hydra's configuration is not supported : 'hydra.sweeper.n_jobs=1,2'",
            ["--multirun", "hydra.sweeper.n_jobs=1,2"],
            "hydra.sweeper.n_jobs=1,2: has several values, and a key of Hydra's has one; type one",
        ),
        (
            "Sweeping over Hydra's configuration is not supported : "
            "'+hydra.sweeper.params.x=interval(0,1)'",
            ["--multirun", "+hydra.sweeper.params.x=interval(0,1)"],
            "+hydra.sweeper.params.x=interval(0,1): a sweep needs quotes there; "
            "type 'x=interval(0,1)' in its place",
        ),
        (
            "Key 'direction' not in 'BasicSweeperConf'",
            ["--multirun", "hydra/sweeper=basic", "optimizer.lr=0.1,0.2"],
            "hydra/sweeper=basic: python -m sweeper has a sweeper of its own; leave it out: lists",
        ),
    ],
)
def test_what_hydra_cannot_compose_says_what_to_type(message, arguments, line) -> None:
    found = better_line(message, arguments)
    assert found is not None
    assert found.startswith(line)


def test_the_class_of_another_sweeper_in_a_file_is_to_be_removed() -> None:
    path = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    error = RuntimeError(f"Unknown plugin class : '{path}'")
    line = line_for(error, ["--multirun", "search=mine"])
    assert line is not None
    assert line.startswith(f"hydra.sweeper._target_={path}: is not installed; remove _target_")


def test_an_empty_number_says_that_a_value_is_missing() -> None:
    line = better_line("optimizer.lr=: expected a valid number", ["optimizer.lr="])
    assert line == "optimizer.lr=: expected a valid number; type optimizer.lr=VALUE"


def test_all_keys_of_a_recipe_that_do_not_fit_are_named_at_once() -> None:
    typed = ["experiment=cifar10_resnet50", "model=mlp", "optimizer=adam", "~optimizer.nesterov"]
    line = better_line("model has no key stem_stride; choose one of hidden", typed)
    removed = "'~model.stem_kernel_size' '~model.stem_stride' '~model.stem_pool'"
    assert line is not None
    assert line.startswith("experiment=cifar10_resnet50 sets model.stem_kernel_size, ")
    assert "which model=mlp and optimizer=adam do not have" in line
    assert f"; type {removed} '~optimizer.momentum' too, or leave out" in line


def test_a_target_that_cannot_be_imported_may_take_any_key(monkeypatch) -> None:
    def located(path: str) -> None:
        raise ImportError(path)

    monkeypatch.setattr("sweeper.cli.rewording._locate", located)
    typed = ["experiment=cifar10_resnet50", "optimizer=adam"]
    assert better_line("optimizer has no key nesterov; choose one of lr", typed) is None


@pytest.mark.parametrize(
    ("message", "override", "line"),
    [
        (
            "scheduler is missing: type scheduler=NAME instead of removing it",
            "~scheduler",
            "~scheduler: every experiment has an option of scheduler; type scheduler=none",
        ),
        (
            "Could not delete from config. 'optimizer.learning_rate' does not exist.",
            "~optimizer.learning_rate",
            "~optimizer.learning_rate: there is no key optimizer.learning_rate; leave it out, "
            "or type '~optimizer.lr'",
        ),
        (
            "Could not delete from config. 'schedulr' does not exist.",
            "~schedulr",
            "~schedulr: there is no key schedulr; leave it out",
        ),
    ],
)
def test_what_cannot_be_removed_says_why(message, override, line) -> None:
    assert better_line(message, [override]) == line


def test_a_config_folder_that_does_not_exist_is_named_alone() -> None:
    message = "Additional config directory 'my conf' not found"
    line = better_line(message, ["--config-dir", "my conf", "model=cnn"])
    assert line == "--config-dir 'my conf': there is no such folder; type the path of one"


@pytest.mark.parametrize("override", ["tags=[a,b]", "tags=a"])
def test_a_value_in_the_place_of_a_mapping_says_how_its_keys_are_set(override) -> None:
    line = f"{override}: tags has keys of its own; type +tags.KEY=VALUE"
    assert better_line(f"{override}: expected a valid dictionary", [override]) == line
    assert better_line(override, [override]) == line


def test_a_flag_of_training_is_not_offered_to_a_command_that_lacks_it(vocabulary) -> None:
    line = flag_advice("--multirun", None, vocabulary)
    assert line == "--multirun: is a flag of training alone; type python -m sweeper --multirun"


def test_a_short_flag_with_another_dash_is_named(vocabulary) -> None:
    line = word_advice(["\u2013m"], vocabulary)
    assert line == "\u2013m: has another dash than the keyboard's; type -m"


def test_values_in_brackets_are_tried_without_them() -> None:
    for line in (
        sweep_advice("x={1, 2}", is_multirun=False),
        better_line("x=[1, 2]: expected a valid number", ["x=[1,2]"]),
    ):
        assert line is not None
        assert line.endswith("to try one value after another, type --multirun x=1,2")


@pytest.mark.parametrize(
    ("override", "typed"),
    [
        ("'model=cnn'", '"model=cnn"'),
        ("data.root=~/my data", f"\"data.root='{Path.home()}/my data'\""),
        ("a=~b", None),
        ("a=tag(log,interval(1,2)", "'a=tag(log,interval(1,2))'"),
        ("a=[1,{b: 2", "'a=[1,{b: 2}]'"),
        ("a=(1]", None),
        ("a='[1", None),
        ("model=\u201ccnn\u201d", "model=cnn"),
        ("lr=\u22120.1", "lr=-0.1"),
        ("a=\uff08b", "'a=(b'"),
        ("lr=0.1,", "lr=0.1, or what comes after the comma"),
        ("a=[16; 32]", "'a=[16,32]'"),
    ],
)
def test_what_a_shell_has_left_is_named(override, typed) -> None:
    line = leftover_advice(override)
    assert line is None if typed is None else line.endswith(f"; type {typed}")


def test_a_variable_that_no_shell_replaced_is_named(monkeypatch) -> None:
    monkeypatch.setenv("PLACE", "/x")
    message = "Interpolation key '{}' not found"
    assert "'${oc.env:PLACE}'" in variable_advice(message.format("PLACE"))
    assert variable_advice(message.format("nowhere")) == ""


def test_a_list_with_none_is_written_without_a_function_which_takes_no_null() -> None:
    line = sweep_advice('x=suggest_categorical("x",["adam",None])', is_multirun=True)
    assert line is not None
    assert line.endswith("; type x=adam,null")


@pytest.mark.parametrize(
    "value",
    [
        *("3", "float(x)", "int(3)", "sort(3,1)", "[1,2", "uniform(0.5)", "choice()", "range(1,3)"),
        *(
            "log(0,1)",
            "loguniform(math.log(1e-5),0)",
            "suggest_int('n',9,3)",
            "tag(log,interval(1,2))",
        ),
        *("quniform(0,1e999999,1)", "loguniform(-1,1e9)", "uniform(0,1e99999999999999999999)"),
    ],
)
def test_other_values_are_no_sweeps(value) -> None:
    assert sweep_advice(f"x={value}", is_multirun=True) is None


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "seed=1,2",
            "seed=1,2: has several values; type one of them; to try one after another, "
            "add --multirun to your command line: --multirun seed=1,2",
        ),
        (
            "model.channels=8,16",
            "model.channels=8,16: has several values; type 'model.channels=[8,16]' for a list; to "
            "try one after another, add --multirun to your command line: --multirun "
            "model.channels=8,16",
        ),
        (
            "optimizer.lr=0,01",
            "optimizer.lr=0,01: has several values; type optimizer.lr=0.01 for a number, with a "
            "point; to try one after another, add --multirun to your command line: --multirun "
            "optimizer.lr=0,01",
        ),
        (
            "model=cnn,lenet",
            "model=cnn,lenet: has several options; type one of them; to try one after another, "
            "add --multirun to your command line: --multirun model=cnn,lenet",
        ),
        (
            "seed=range(1,3)",
            "seed=range(1,3): is a sweep; add --multirun to your command line: "
            "--multirun 'seed=range(1,3)'",
        ),
    ],
)
def test_a_sweep_without_multirun_says_what_to_add(override, line) -> None:
    assert line_of(override) == line
