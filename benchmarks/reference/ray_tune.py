"""The reference sweep with Ray Tune: two trials at a time, resident tensors, ASHA, Optuna's TPE.

    python ray_tune.py ROOT SEED

It prints the best parameters as JSON. `benchmarks/reference.py` runs it with the packages that it
needs beside those of the project.
"""

import json
import sys
from pathlib import Path
from typing import Any

import optuna
import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from torch import nn
from torch.nn import functional
from torchvision.datasets import MNIST

ROOT, SEED = sys.argv[1], int(sys.argv[2])
PAIRS = [f"{a},{b}" for a in (8, 16, 32) for b in (16, 32, 64)]
N_TRAIN, N_VAL, EPOCHS, TRIALS = 10_000, 2_000, 5, 20


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    mnist = MNIST(ROOT, train=True)
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(SEED))
    train, val = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_VAL]
    images = (mnist.data[:, None].float() / 255 - 0.1307) / 0.3081
    images = images.contiguous(memory_format=torch.channels_last)
    return images[train], mnist.targets[train], images[val], mnist.targets[val]


class Trial(tune.Trainable):
    """A trial that is stopped by ASHA; its process takes up the next one."""

    def setup(self, config: dict[str, Any], tensors: Any = None) -> None:
        torch.set_num_threads(1)
        self.x, self.y, self.x_val, self.y_val = tensors
        self.begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.begin(new_config)
        return True

    def begin(self, config: dict[str, Any]) -> None:
        torch.manual_seed(SEED)
        kernel = config["kernel_size"]
        a, b = map(int, config["channels"].split(","))
        self.model = nn.Sequential(
            nn.Conv2d(1, a, kernel, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(a, b, kernel, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(b * 49, 10),
        ).to(memory_format=torch.channels_last)  # fmt: skip
        self.optimizer = torch.optim.Adam(self.model.parameters(), config["lr"])
        self.batch_size = config["batch_size"]

    def step(self) -> dict[str, float]:
        for index in torch.randperm(N_TRAIN).split(self.batch_size):
            self.optimizer.zero_grad()
            outputs = self.model(self.x[index])
            functional.cross_entropy(outputs, self.y[index]).backward()
            self.optimizer.step()
        with torch.no_grad():
            right = self.model(self.x_val).argmax(1) == self.y_val
        return {"val_accuracy": right.float().mean().item()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    space = {
        "lr": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "batch_size": optuna.distributions.CategoricalDistribution([32, 64, 128, 256]),
        "kernel_size": optuna.distributions.CategoricalDistribution([3, 5, 7]),
        "channels": optuna.distributions.CategoricalDistribution(PAIRS),
    }
    sampler = optuna.samplers.TPESampler(seed=SEED, multivariate=True, constant_liar=True)
    search = OptunaSearch(space, metric="val_accuracy", mode="max", sampler=sampler)
    callback = MLflowLoggerCallback("sqlite:///mlflow.db", experiment_name="mnist")
    results = tune.Tuner(
        tune.with_resources(tune.with_parameters(Trial, tensors=data()), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=TRIALS,
            search_alg=search,
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=1, reduction_factor=3),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            storage_path=str(Path("ray").absolute()),
            stop={"training_iteration": EPOCHS},
            callbacks=[callback],
            verbose=0,
        ),
    ).fit()
    best = results.get_best_result(scope="all")
    print(json.dumps(best.config))
