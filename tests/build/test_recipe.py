"""Building an experiment: values that flow between options, and configs that are refused."""

import pytest
import torch
from torch import nn

from sweeper.build.recipe import verify
from sweeper.errors import ConfigError, SweeperError
from sweeper.training.checkpoint import read_checkpoint

SCALED = ("trainer.lr_scale={features: 0.1}", "~scheduler")


def test_the_network_gets_input_shape_and_classes_of_the_data(built) -> None:
    experiment = built("model=mlp", "model.hidden=[7]")
    sizes = [
        (m.in_features, m.out_features)
        for m in experiment.model.modules()
        if isinstance(m, nn.Linear)
    ]
    assert sizes == [(64, 7), (7, 10)]


def test_determinism_holds_for_one_build_and_not_for_the_next(built) -> None:
    built("model=mlp", "trainer.deterministic=true")
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    built("model=mlp")
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.filterwarnings("ignore:Guards may run slower")  # on Python 3.13.0
def test_a_compiled_network_keeps_the_names_of_its_parameters(ran, tmp_path, monkeypatch) -> None:
    compiled, method = [], nn.Module.compile

    def compile_eagerly(network: nn.Module) -> None:
        compiled.append(network)
        method(network, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    for value in ("false", "true"):
        ran("model=mlp", "trainer=debug", f"trainer.compile={value}", folder=value)
    assert len(compiled) == 1
    plain, other = (
        read_checkpoint(tmp_path / value / "checkpoints/last.pt") for value in ("false", "true")
    )
    assert other["model"].keys() == plain["model"].keys()


def test_small_images_are_enlarged_to_the_models_minimum(built, caplog) -> None:
    caplog.set_level("INFO")
    assert built("model=vgg11", "model.width=0.1").data.profile.input_shape == (1, 32, 32)
    assert "enlarged to 32x32" in caplog.text


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "nn.Sequential(nn.Flatten(), nn.Linear(64, 3))",
            r"returns \(1, 3\) .* needs \(1, 10\)",
        ),
        ("nn.Sequential(nn.Flatten(), nn.Linear(9, 10))", r"cannot take 64 images of shape"),
    ],
)
def test_a_users_network_is_checked_before_training(
    built, tmp_path, monkeypatch, network, message
) -> None:
    source = f"from torch import nn\n\n\ndef net():\n    return {network}\n"
    (tmp_path / f"own_{tmp_path.name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message):
        built("~model", f"+model={{_target_: own_{tmp_path.name}.net}}")


def test_a_study_takes_a_network_whose_way_depends_on_the_values_of_an_image(
    composed, tmp_path, monkeypatch
) -> None:
    source = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self, size=64):
        super().__init__(nn.Flatten(), nn.Linear(size, 10))

    def forward(self, images):
        return super().forward(images if images.sum() > 0 else -images)
"""
    (tmp_path / f"own_{tmp_path.name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    target = f"_target_: own_{tmp_path.name}.Net"
    verify(composed("~model", f"+model={{{target}}}", "trainer.freeze=['1.bias']", hydra=True))
    with pytest.raises(ConfigError, match="cannot take 64 images of shape .*1x64 and 9x10"):
        verify(composed("~model", f"+model={{{target},size:9}}", hydra=True))


def test_what_a_part_draws_when_it_is_made_depends_on_the_seed_alone(
    built, tmp_path, monkeypatch
) -> None:
    source = """
import torch
from torch import nn


class Part(nn.Linear):
    def __init__(self):
        super().__init__(64, 64)


class Net(nn.Sequential):
    def __init__(self, part):
        super().__init__(nn.Flatten(), part, nn.Linear(64, 64), nn.Linear(64, 10))


class Loss(nn.CrossEntropyLoss):
    def __init__(self):
        super().__init__(weight=torch.rand(10))
"""
    (tmp_path / f"own_{tmp_path.name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    own = f"own_{tmp_path.name}"
    net = f"+model={{_target_: {own}.Net, part: {{_target_: {own}.Part}}}}"

    def drawn(before: int, seed: int):
        torch.manual_seed(before)
        experiment = built(
            "~model", net, "~loss", f"+loss={{_target_: {own}.Loss}}", f"seed={seed}"
        )
        _, part, inner, last = experiment.model
        return [part.weight, inner.weight, last.weight, experiment.adapter.criterion.weight]

    first, again, other = drawn(1, 5), drawn(2, 5), drawn(1, 6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer.lr=-1"], r"^optimizer\.lr=-1: expected"),
        (["optimizer.lr=abc"], r"^optimizer\.lr=abc: expected"),
        (["optimizer.betas=[0.9,1.5]"], r"^optimizer\.betas=\[0\.9, 1\.5\]: expected"),
        (["trainer.epochs=abc"], r"^trainer\.epochs=abc: expected"),
        (["trainer.epochs=0"], r"^trainer\.epochs=0: expected"),
        (["seed=-1"], r"^seed=-1: expected"),
        (["data.batch_size=0"], r"^data\.batch_size=0: expected"),
        (["data.val_fraction=2"], r"^data\.val_fraction=2: expected"),
        (["trainer.device=tpu"], r"^trainer\.device=tpu: this machine has no such device.* cpu$"),
        (["trainer.precision=fp16", "trainer.device=cpu"], r"fp16 needs a GPU"),
        (["metric=test/accuracy"], r"must not decide anything; type metric=val/accuracy"),
        (["metric=val/acuracy"], r"did you mean val/accuracy"),
        (["model.channels=[8,8,8,8]"], r"8 -> conv .* -> 0"),
        (["+model.depth=3"], r"^model has no key depth"),
        (["+optimizer.speed=3"], r"^optimizer has no key speed"),
        (
            ["+model.num_classes=9"],
            r"^model\.num_classes: the run itself sets .* of model=cnn",
        ),
        (["scheduler=plateau", "+scheduler.mode=max"], r"^scheduler\.mode: the run itself sets"),
        (["scheduler=cosine", "+scheduler.T_max=9"], r"T_max: .* or type scheduler\.horizon=null"),
        (["+loss.label_type=multilabel"], r"^loss has no key label_type"),
        (["model._target_=no_such_package.Net"], r"^model=cnn: .*no_such_package"),
        (["loss.adapter=sweeper.losses.Nope"], r"^loss\.adapter=sweeper\.losses\.Nope"),
        (["trainer.epochs=true"], r"^trainer\.epochs=true: expected a number"),
        (["optimizer.lr=.inf"], r"^optimizer\.lr=.*: expected"),
        (["seed=99999999999999999999999"], r"^seed=9+: expected"),
        (["loss.label_smoothing=2"], r"^loss\.label_smoothing=2: expected"),
        (
            ["loss.reduction=foo"],
            r"^loss\.reduction=foo: expected 'mean', 'sum', 'none'",
        ),
        (["loss.weight=5"], r"^loss\.weight=5: expected"),
        (["loss.adapter=torch.nn.Linear"], r"is not a subclass of sweeper\.losses\.Adapter"),
        (["scheduler=step", "scheduler.step_size=0"], r"^scheduler\.step_size=0: expected"),
        (["scheduler=step", "scheduler.gamma=-1"], r"^scheduler\.gamma=-1: expected"),
        (["scheduler=cosine", "scheduler.interval=steps"], r"^scheduler\.interval=steps: exp"),
        (["scheduler=plateau", "scheduler.patience=-3"], r"^scheduler\.patience=-3: expected"),
        (["model.min_image_size=100000"], r"^model\.min_image_size=100000: expected"),
        (["model=mlp", "model.batch_norm=true", "data.batch_size=1"], r"cannot take 1 images"),
        (["model=torchvision", "model.name=resnet19"], r"resnet18"),
        (["data=image_folder"], r"^data\.root has no value: type data\.root="),
        (["~data.batch_size"], r"^data\.batch_size has no value: type data\.batch_size="),
        (["init=normal", "init.std=-1"], r"^init=normal: .*std"),
        (["init.weights=nowhere.pt"], r"^init\.weights=nowhere\.pt cannot be read \(No such file"),
        (["init.weights=5"], r"^init\.weights=5: expected"),
        (["trainer.freeze=features"], r"^trainer\.freeze=features: expected a valid list"),
        (
            ["trainer.freeze=[featurs]"],
            r"^trainer\.freeze=\[featurs\] names no weights .* features",
        ),
        (["trainer.freeze=[features.0.1]"], r"names no weights"),
        (["trainer.freeze=[features,zzz]"], r"\[zzz\] .*; its parts are features, classifier$"),
        (["trainer.freeze=[features,*.1.*]"], r"leaves no parameter to train; .* classifier$"),
        (["trainer.freeze=['*.running_mean']", "model.batch_norm=true"], r"names no weights"),
        (
            ["trainer.freeze=[0.10]"],
            r"^trainer\.freeze=\[0\.1\]: expected a name in quotes: '0\.10' is",
        ),
        (["trainer.lr_scale={0.10: 2}"], r"^trainer\.lr_scale=.*: expected a name in quotes"),
        (["trainer.lr_scale={0.1: {1: 2}}"], r"^trainer\.lr_scale=.*: expected a name in quotes"),
        (["trainer.freeze=[null]"], r"^trainer\.freeze=\[None\]: expected a valid string"),
        (["trainer.unfreeze_at=0"], r"^trainer\.unfreeze_at=0: expected"),
        (["trainer.lr_scale=0.1"], r"^trainer\.lr_scale=0\.1: expected a valid dictionary"),
        (["trainer.lr_scale={features: 0}"], r"^trainer\.lr_scale=.*: expected a value greater"),
        (["trainer.lr_scale={features: inf}"], r"^trainer\.lr_scale=.*: expected a finite number"),
        (["trainer.lr_scale={head: 2}"], r"^trainer\.lr_scale\.head names no weights"),
        (
            ["trainer.lr_scale={features: 0.1, features.0: 0.5}"],
            r"^trainer\.lr_scale\.features\.0 has no effect: earlier patterns name all of its",
        ),
        (
            ["trainer.lr_scale={features: 0.1}", "scheduler=cosine", "scheduler.eta_min=1e-5"],
            r"^scheduler\.eta_min=1e-05: trainer\.lr_scale cannot scale",
        ),
        (
            ["trainer.lr_scale={features: 0.1}", "scheduler=plateau", "scheduler.min_lr=1e-5"],
            r"^scheduler\.min_lr=1e-05: trainer\.lr_scale cannot scale",
        ),
        (
            [
                *SCALED,
                "+scheduler={_target_: torch.optim.lr_scheduler.OneCycleLR, max_lr: 0.1,"
                " interval: step, horizon: total_steps}",
            ],
            r"^scheduler=inline sets its own learning rates .*; type scheduler=one_cycle or",
        ),
        (
            [
                *SCALED,
                "+scheduler={_target_: torch.optim.lr_scheduler.CyclicLR, base_lr: 0.01,"
                " max_lr: 0.1, cycle_momentum: false}",
            ],
            r"^scheduler=inline sets its own learning rates and ignores",
        ),
        (["loss.weight=[1,2,3]"], r"3 numbers, but the data has 10 classes"),
        (
            ["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"],
            r"^optimizer=sgd .*Nesterov",
        ),
        (
            ["~optimizer", "+optimizer={_target_: torch.optim.LBFGS}"],
            r"^optimizer=inline: a step of LBFGS needs a closure, .*; type optimizer=adam",
        ),
        (["model=mlp", "trainer.activation_checkpointing=true"], r"finds no block"),
        (["optimizer.lr=${nowhere}"], r"^optimizer.lr: .*nowhere"),
        (
            ["stopping=patience", "~stopping.patience"],
            r"^stopping=patience .*missing a required argument: 'patience'; type \+stopping\.KEY",
        ),
        (["optimizer.lr=???"], r"^optimizer\.lr has no value: type optimizer\.lr="),
    ],
)
def test_an_invalid_config_is_refused_in_one_line(built, overrides, message, refuses) -> None:
    with refuses(SweeperError, message):
        built(*overrides)


def test_a_scheduler_without_horizon_takes_its_length_from_the_config(built) -> None:
    updates = built("scheduler=cosine", "scheduler.horizon=null", "+scheduler.T_max=9").updates
    assert (updates.schedule.horizon, updates.schedule.scheduler.T_max) == (None, 9)


def test_a_scheduler_with_rates_in_the_ratio_of_lr_scale_is_accepted(built) -> None:
    one_cycle = "torch.optim.lr_scheduler.OneCycleLR, interval: step, horizon: total_steps"
    updates = built(*SCALED, f"+scheduler={{_target_: {one_cycle}, max_lr: [0.5, 0.05]}}").updates
    assert [group["max_lr"] for group in updates.optimizer.param_groups] == [0.5, 0.05]


@pytest.mark.parametrize(
    "trainer",
    ["channels_last=true", "channels_last=false", "precision=bf16", "ema_decay=0.9", "threads=1"],
)
def test_every_trainer_setting_trains_a_step(built, trainer) -> None:
    threads = torch.get_num_threads()
    experiment = built(f"trainer.{trainer}", "trainer.train_limit=64")
    images, labels = next(experiment.data.train(1))
    with experiment.autocast():
        outputs = experiment.model(images)
    experiment.updates.after_batch(experiment.adapter(outputs, labels), 1, 1)
    torch.set_num_threads(threads)
    assert all(torch.isfinite(p).all() for p in experiment.model.parameters())


def test_init_sets_the_weights(built) -> None:
    experiment = built("init=constant", "init.val=0.25")
    assert {p.unique().item() for n, p in experiment.model.named_parameters() if "weight" in n} == {
        0.25
    }


def test_a_search_space_is_not_passed_to_the_target(composed, built) -> None:
    assert "search" in composed().cfg.model
    assert not hasattr(built().model, "search")


@pytest.mark.parametrize(
    ("overrides", "is_last"),
    [
        (("data.image_size=32", "model.channels=[4,8]"), True),
        (("model=resnet50", "model.blocks=[1]", "model.channels=[4]"), False),
        (("model.channels=[4,8]", "trainer.channels_last=false"), False),
    ],
)
def test_the_memory_format_is_the_faster_one_of_the_network(built, overrides, is_last) -> None:
    experiment = built(*overrides, "trainer.device=cpu", "trainer.train_limit=64")
    weight = next(p for p in experiment.model.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last) is is_last


NET_3D = """
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Conv3d(1, 4, 3, padding=1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images):
        return self.head(self.conv(images[:, None]).relu().mean((2, 3, 4)))
"""


def test_a_network_with_five_dimensional_weights_has_no_channels_last(
    built, composed, tmp_path, monkeypatch, refuses
) -> None:
    (tmp_path / f"own_{tmp_path.name}.py").write_text(NET_3D)
    monkeypatch.syspath_prepend(tmp_path)
    own = ("~model", f"+model={{_target_: own_{tmp_path.name}.Net}}", "trainer.device=cpu")
    experiment = built(*own, "trainer.train_limit=64")
    images, labels = next(experiment.data.train(1))
    experiment.adapter(experiment.model(images), labels).backward()
    assert experiment.model.conv.weight.grad.abs().sum() > 0
    message = r"^trainer\.channels_last=true: conv\.weight .*; type trainer\.channels_last=auto$"
    with refuses(ConfigError, message):
        built(*own, "trainer.channels_last=true")
    with refuses(ConfigError, message):
        verify(composed(*own, "trainer.channels_last=true", hydra=True))


@pytest.mark.parametrize(("loss", "n"), [("cross_entropy", 2048), ("triplet_margin", 64)])
def test_images_are_evaluated_in_large_batches_if_their_losses_are_their_own(
    built, loss, n
) -> None:
    assert built(f"loss={loss}").data.eval_batch_size == n
