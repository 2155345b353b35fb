"""Fine-tuning: frozen parts do not change by a bit, and parts learn at scaled rates."""

import logging

import pytest
import torch
from torch import nn

from sweeper.configs import CONFIGS
from sweeper.errors import CheckpointError, ConfigError
from sweeper.training.checkpoint import read_checkpoint
from sweeper.training.checkpoint_store import SaveCheckpoints
from sweeper.training.finetune import freeze, frozen_norms, frozen_parameters, parameter_groups

SMALL = ("trainer.train_limit=200", "trainer.val_limit=50", "model.channels=[4,8]")
NORMED = (*SMALL, "model.batch_norm=true", "data.batch_size=32")
OPTIMIZERS = sorted(path.stem for path in (CONFIGS / "optimizer").glob("*.yaml"))
SCHEDULERS = sorted(path.stem for path in (CONFIGS / "scheduler").glob("*.yaml"))


def network() -> nn.Module:
    """Return a network of two blocks, each a layer and a norm, and a head."""
    blocks = [nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2)]
    return nn.ModuleDict({"body": nn.Sequential(*blocks), "head": nn.Linear(2, 3)})


def last(folder):
    return read_checkpoint(folder / "checkpoints/last.pt")


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["head"], {"head.weight", "head.bias"}),
        (["body.0"], {f"body.0.{own}" for own in ("0.weight", "0.bias", "1.weight", "1.bias")}),
        (["body.*.1"], {f"body.{i}.1.{own}" for i in (0, 1) for own in ("weight", "bias")}),
        (
            ["*.weight"],
            {"body.0.0.weight", "body.0.1.weight", "body.1.0.weight"}
            | {"body.1.1.weight", "head.weight"},
        ),
        (["body.[1-9].0", "head.bias"], {"body.1.0.weight", "body.1.0.bias", "head.bias"}),
        (["bod"], set()),
        ([], set()),
    ],
)
def test_a_pattern_matches_parameters_and_all_parameters_of_modules(patterns, names) -> None:
    model = network()
    frozen = {id(parameter) for parameter in frozen_parameters(model, patterns)}
    assert {name for name, p in model.named_parameters() if id(p) in frozen} == names


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (["body"], [0, 1]),
        (["body.0"], [0]),
        (["body.1.1"], [1]),
        (["body.0.1.weight", "body.0.1.bias"], [0]),
        (["*.bias"], []),  # the weight of the norm learns
        (["head"], []),
    ],
)
def test_the_statistics_of_a_norm_are_frozen_with_all_its_parameters(patterns, frozen) -> None:
    model = network()
    assert frozen_norms(model, patterns) == [model["body"][i][1] for i in frozen]


def test_a_norm_without_parameters_is_frozen_with_its_module() -> None:
    model = nn.ModuleDict({"body": nn.Sequential(nn.BatchNorm1d(2, affine=False))})
    assert frozen_norms(model, ["body"]) == [model["body"][0]]
    assert frozen_norms(model, ["*.bias"]) == []
    freeze(nn.ModuleDict({**model, "head": nn.Linear(2, 3)}), ["body"])


def test_a_shared_parameter_is_frozen_by_any_of_its_names() -> None:
    model = nn.ModuleDict({"one": nn.Linear(2, 2), "two": nn.Linear(2, 2)})
    model["two"].weight = model["one"].weight
    assert model["one"].weight in set(frozen_parameters(model, ["two.weight"]))


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_shared_norm_matches_by_any_of_its_names(name) -> None:
    norm = nn.BatchNorm1d(2)
    model = nn.ModuleDict({"one": norm, "two": norm, "head": nn.Linear(2, 3)})
    assert frozen_norms(model, [name]) == [norm]
    assert frozen_norms(model, ["one", "two"]) == [norm]
    groups = parameter_groups(model, {name: 0.1}, False)
    assert [(group["lr_scale"], len(group["params"])) for group in groups] == [(1.0, 2), (0.1, 2)]


@pytest.mark.parametrize(
    ("optimizer", "unfreeze_at"), [("sgd", "null"), *((name, "9") for name in OPTIMIZERS)]
)
def test_a_frozen_part_is_the_same_after_training(
    built, ran, tmp_path, optimizer, unfreeze_at
) -> None:
    overrides = (*NORMED, f"optimizer={optimizer}", "optimizer.weight_decay=0.1")
    overrides += ("trainer.ema_decay=0.5", "trainer.clip_norm=1", "trainer.epochs=1")
    before = built(*overrides).model.state_dict()
    ran(*overrides, "trainer.freeze=[features.0]", f"trainer.unfreeze_at={unfreeze_at}")
    content = last(tmp_path / "run")
    average = content["updates"]["ema"]
    for name, entry in content["model"].items():
        frozen = name.startswith("features.0.")
        assert torch.equal(entry, before[name]) == frozen, name
        assert torch.equal(average[f"module.{name}"], before[name]) == frozen, name


def test_permanently_frozen_parameters_are_not_in_the_optimizer(built) -> None:
    def sizes(*overrides: str) -> list[int]:
        groups = built("trainer.freeze=[features]", *overrides).updates.optimizer.param_groups
        return [sum(p.numel() for p in group["params"]) for group in groups]

    head, body = 10 * (32 * 2 * 2 + 1), 16 * (25 + 1) + 32 * (16 * 25 + 1)
    assert sizes() == [head]
    assert sizes("trainer.unfreeze_at=3") == [head, body]


def test_a_frozen_part_learns_from_unfreeze_at_on(ran, tmp_path, built) -> None:
    overrides = (*NORMED, "trainer.freeze=[features]", "trainer.unfreeze_at=2")
    start = built(*overrides).model.state_dict()
    for epochs in (1, 2):
        ran(*overrides, f"trainer.epochs={epochs}", folder=f"{epochs}")
        model = last(tmp_path / f"{epochs}")["model"]
        changed = {n for n, entry in model.items() if not torch.equal(entry, start[n])}
        body = {name for name in model if name.startswith("features")}
        assert changed & body == (body if epochs == 2 else set())


def test_parts_frozen_until_the_first_epoch_learn_as_if_never_frozen(ran, tmp_path, same) -> None:
    overrides = (*NORMED, "trainer.epochs=2", "optimizer=sgd")
    ran(*overrides, folder="plain")
    ran(*overrides, "trainer.freeze=[features]", "trainer.unfreeze_at=1", folder="unfrozen")
    same(last(tmp_path / "plain")["model"], last(tmp_path / "unfrozen")["model"])


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimizer=muon", "trainer.ema_decay=0.9", "trainer.lr_scale={features: 0.1}"),
        ("optimizer=sgd", "scheduler=one_cycle", "trainer.accumulate=3"),
    ],
    ids=["adam", "muon-average-scale", "sgd-one_cycle-accumulation"],
)
@pytest.mark.parametrize("stop", [(0, 3), (1, 2), (2, 4)], ids=["before", "in", "after"])
def test_a_run_resumed_around_the_unfreezing_equals_the_uninterrupted_one(
    ran, tmp_path, monkeypatch, same, overrides, stop
) -> None:
    frozen = ("trainer.freeze=[features]", "trainer.unfreeze_at=2", "trainer.epochs=3")
    everything = (*NORMED, *frozen, *overrides)
    ran(*everything, folder="whole")

    def interrupt(callback, state) -> None:
        if (state.epoch, state.batch) == stop:
            state.interrupt()

    with monkeypatch.context() as patch:
        patch.setattr(SaveCheckpoints, "on_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ran(*everything, folder="part")
    assert last(tmp_path / "part")["state"]["batch"] == stop[1]
    ran(*everything, f"resume={tmp_path}/part/checkpoints/last.pt", folder="rest")
    same(last(tmp_path / "whole"), last(tmp_path / "rest"))


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_run_resumed_between_epochs_equals_the_uninterrupted_one(
    ran, tmp_path, same, epochs
) -> None:
    overrides = (*NORMED, "trainer.freeze=[features.0]", "trainer.unfreeze_at=2")
    ran(*overrides, "trainer.epochs=3", folder="whole")
    ran(*overrides, f"trainer.epochs={epochs}", folder="part")
    resume = f"resume={tmp_path}/part/checkpoints/last.pt"
    ran(*overrides, "trainer.epochs=3", resume, folder="rest")
    same(last(tmp_path / "whole"), last(tmp_path / "rest"))


def test_a_checkpoint_with_other_frozen_parts_is_refused(ran, tmp_path) -> None:
    ran(*SMALL, "trainer.epochs=1", "trainer.freeze=[features]", folder="first")
    resume = f"resume={tmp_path}/first/checkpoints/last.pt"
    with pytest.raises(CheckpointError, match=r"frozen is .* and None in this run"):
        ran(*SMALL, "trainer.epochs=2", resume, folder="second")


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            "lr_scale={features: 0.1}",
            "lr_scale={classifier: 0.1}",
            r"lr_scale is \[\('features', 0\.1\)\] .* and \[\('classifier', 0\.1\)\] in this run",
        ),
        ("lr_scale={features: 0.1}", "lr_scale={features: 0.2}", r"0\.1.* and .*0\.2.* in this"),
        ("lr_scale={features: 0.1}", "lr_scale=null", r"in the checkpoint and None in this run"),
        (
            "lr_scale={features.0: 0.1, features.1: 2}",
            "lr_scale={features.1: 2, features.0: 0.1}",
            r"lr_scale is .* in the checkpoint and .* in",
        ),
        ("unfreeze_at=2", "unfreeze_at=3", r"unfreeze_at is 2 in the checkpoint and 3 in"),
        ("unfreeze_at=2", "unfreeze_at=null", r"unfreeze_at is 2 in the checkpoint and None in"),
    ],
)
def test_a_checkpoint_with_other_rates_or_unfreezing_is_refused(
    ran, tmp_path, before, now, message
) -> None:
    given = (*SMALL, "trainer.freeze=[classifier.*.bias]", "trainer.epochs=1")
    ran(*given, f"trainer.{before}", folder="first")
    resume = f"resume={tmp_path}/first/checkpoints/last.pt"
    with pytest.raises(CheckpointError, match=message):
        ran(*given, f"trainer.{now}", resume, folder="second")


def test_the_log_says_how_much_is_trained(ran, caplog) -> None:
    caplog.set_level(logging.INFO)
    ran(*SMALL, "trainer.epochs=1", "trainer.freeze=[features]", "trainer.unfreeze_at=5")
    head, body = 10 * (8 * 2 * 2 + 1), 4 * (25 + 1) + 8 * (4 * 25 + 1)
    expected = f"{head} of {head + body:,} parameters are trained, all of them from epoch 5 on"
    assert expected in caplog.messages


@pytest.mark.parametrize(
    ("overrides", "warnings"),
    [
        (["trainer.unfreeze_at=5"], ["trainer.unfreeze_at=5: trainer.freeze names no part"]),
        (
            ["trainer.freeze=[features]", "trainer.unfreeze_at=5"],
            ["trainer.unfreeze_at=5 is never reached: trainer.epochs=4"],
        ),
        (["trainer.freeze=[features]", "trainer.unfreeze_at=4"], []),
        (["trainer.freeze=null"], []),
    ],
)
def test_an_unfreezing_without_effect_logs_a_warning(built, caplog, overrides, warnings) -> None:
    built("trainer.epochs=4", *overrides)
    assert caplog.messages == warnings


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize(
    "scale", ["features: 0.1, classifier: 0.2", "features: 0.1", "classifier: 0.1"]
)
def test_the_logged_rate_is_the_optimizers(built, optimizer, scale) -> None:
    given = (f"optimizer={optimizer}", "optimizer.lr=0.25", "model.hidden=[8]")
    assert built(*given, f"trainer.lr_scale={{{scale}}}").updates.lr == pytest.approx(0.25)


def test_the_first_matching_pattern_scales_and_unscaled_parameters_come_first() -> None:
    model = network()
    groups = parameter_groups(model, {"body.0": 0.1, "*.bias": 2.0, "body": 0.5}, False)
    shapes = [(group["lr_scale"], len(group["params"])) for group in groups]
    assert shapes == [(1.0, 1), (0.1, 4), (2.0, 3), (0.5, 2)]
    assert groups[0]["params"][0] is model["head"].weight


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_updates_a_part_at_its_scaled_rate(built, optimizer) -> None:
    given = (f"optimizer={optimizer}", "optimizer.weight_decay=0", "optimizer.lr=1e-3")
    given += ("data.batch_size=16", "trainer.train_limit=16")
    moved = []
    for scale in (1.0, 0.25):
        experiment = built(*given, f"trainer.lr_scale={{features: {scale}}}")
        before = [p.detach().clone() for p in experiment.model.parameters()]
        images, labels = next(experiment.data.train(1))
        loss = experiment.adapter(experiment.model(images), labels)
        experiment.updates.after_batch(loss, 1, 1)
        after = experiment.model.parameters()
        moved.append([(a - b).norm().item() for a, b in zip(after, before, strict=True)])
    ratios = [slow / fast for fast, slow in zip(*moved, strict=True)]
    assert ratios == pytest.approx([0.25] * 4 + [1.0] * 2, rel=0.02)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_schedule_keeps_the_ratio_of_the_rates(built, scheduler) -> None:
    overrides = (f"scheduler={scheduler}", "trainer.epochs=2")
    experiment = built(*overrides, "trainer.lr_scale={features: 0.1}")
    updates, plain = experiment.updates, built(*overrides).updates
    for epoch in range(2):
        for _ in range(experiment.data.steps_per_epoch):
            head, body = (group["lr"] for group in updates.optimizer.param_groups)
            assert head == updates.lr == plain.lr
            assert body == pytest.approx(0.1 * head)
            for one in (updates, plain):
                one.optimizer.step()
                one.schedule.after_step()
        for one in (updates, plain):
            one.schedule.after_epoch(-epoch)


def test_a_plateau_does_not_change_the_ratio_where_a_rate_is_practically_zero(built) -> None:
    scale = ("trainer.lr_scale={features: 0.01}", "optimizer.lr=0.001", "scheduler.patience=0")
    for factor in (0.1, 0.5, 0.9):
        built(*scale, "scheduler=plateau", f"scheduler.factor={factor}", "trainer.epochs=200")


OWN_SCHEDULERS = """
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


class Floored(LRScheduler):
    def __init__(self, optimizer, lowest):
        self.lowest = lowest
        super().__init__(optimizer)

    def get_lr(self):
        factor = 0.5**self.last_epoch
        return [max(self.lowest, rate * factor) for rate in self.base_lrs]


def halving(optimizer):
    return LambdaLR(optimizer, lambda step: 0.5**step)
"""


def test_a_scheduler_of_ones_own_with_a_minimum_rate_is_refused_before_it_is_reached(
    built, tmp_path, monkeypatch, refuses
) -> None:
    module = f"own_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(OWN_SCHEDULERS)
    monkeypatch.syspath_prepend(tmp_path)
    scale = ("trainer.lr_scale={features: 0.1}", "optimizer.lr=0.01")
    floored = f"scheduler={{_target_: {module}.Floored, lowest: 1e-4, interval: epoch}}"
    built(*scale, "~scheduler", f"+{floored}", "trainer.epochs=3")  # 0.001 / 8 is above 1e-4
    with refuses(ConfigError, r"^scheduler=inline sets its own learning rates after epoch 4 and"):
        built(*scale, "~scheduler", f"+{floored}", "trainer.epochs=8")
    for interval in ("step", "epoch"):
        halving = f"scheduler={{_target_: {module}.halving, interval: {interval}}}"
        built(*scale, "~scheduler", f"+{halving}", "trainer.epochs=8")


def test_a_nested_key_names_the_part_with_the_dotted_name(built) -> None:
    optimizer = built("+trainer.lr_scale.features.0=0.1", "optimizer.lr=1").updates.optimizer
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1]
    assert sum(p.numel() for p in optimizer.param_groups[1]["params"]) == 16 * (25 + 1)


@pytest.mark.parametrize("more", ["activation_checkpointing=true", "channels_last=true"])
def test_a_frozen_part_stays_frozen_with_other_trainer_settings(ran, tmp_path, built, more) -> None:
    overrides = (*NORMED, "trainer.freeze=[features.0]", "trainer.epochs=1", f"trainer.{more}")
    before = built(*overrides).model.state_dict()
    ran(*overrides)
    for name, entry in last(tmp_path / "run")["model"].items():
        assert torch.equal(entry, before[name]) == name.startswith("features.0."), name
