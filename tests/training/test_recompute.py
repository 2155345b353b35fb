"""Activation checkpointing: the results equal those of plain training."""

import pytest
import torch

from sweeper.training.recompute import recompute_activations


@pytest.mark.parametrize("model", ["alexnet", "resnet50"])
def test_training_gives_the_same_numbers(built, model) -> None:
    overrides = (f"model={model}", "trainer.train_limit=8", "data.batch_size=4")
    narrow = {"alexnet": "model.hidden=[8]", "resnet50": "model.channels=[2,2,2,2]"}[model]
    results = []
    for recompute in ("false", "true"):
        experiment = built(*overrides, narrow, f"trainer.activation_checkpointing={recompute}")
        torch.manual_seed(1)
        experiment.model.train()
        for batch, (images, labels) in enumerate(experiment.data.train(1), start=1):
            loss = experiment.adapter(experiment.model(images), labels)
            experiment.updates.after_batch(loss, batch, 2)
        results.append(experiment.model.state_dict())
    for name, plain in results[0].items():
        torch.testing.assert_close(results[1][name], plain, rtol=0, atol=0, msg=name)


def test_a_layer_without_children_is_not_a_block() -> None:
    assert recompute_activations(torch.nn.Sequential(torch.nn.Linear(1, 1))) == 0
