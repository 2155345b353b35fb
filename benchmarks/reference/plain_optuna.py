"""The reference sweep as a short script around Optuna: two processes, resident tensors, halving.

    python plain_optuna.py ROOT SEED

It prints the best parameters as JSON. It is what a researcher writes in an hour, so it has no
checkpoints, no resume and no choice of options. `benchmarks/reference.py` runs it.
"""

import json
import multiprocessing
import sys

import mlflow
import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
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


def objective(trial: optuna.Trial) -> float:
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    batch = trial.suggest_categorical("batch_size", [32, 64, 128, 256])
    kernel = trial.suggest_categorical("kernel_size", [3, 5, 7])
    a, b = map(int, trial.suggest_categorical("channels", PAIRS).split(","))
    torch.manual_seed(SEED)
    model = nn.Sequential(
        nn.Conv2d(1, a, kernel, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(a, b, kernel, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(b * 49, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr)
    best = 0.0
    with mlflow.start_run(run_name=f"trial {trial.number}"):
        mlflow.log_params(trial.params)
        for epoch in range(EPOCHS):
            for index in torch.randperm(N_TRAIN).split(batch):
                optimizer.zero_grad()
                functional.cross_entropy(model(x[index]), y[index]).backward()
                optimizer.step()
            with torch.no_grad():
                accuracy = (model(x_val).argmax(1) == y_val).float().mean().item()
            best = max(best, accuracy)
            mlflow.log_metric("val_accuracy", accuracy, step=epoch)
            trial.report(accuracy, epoch + 1)
            if trial.should_prune():
                raise optuna.TrialPruned
    return best


def study() -> optuna.Study:
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend("journal.log")),
        study_name="plain",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED, multivariate=True, constant_liar=True),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )


def work(seed: int) -> None:
    global x, y, x_val, y_val
    torch.set_num_threads(1)
    x, y, x_val, y_val = data()
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("mnist")
    mine = study()
    mine.sampler.reseed_rng()
    finished = optuna.study.MaxTrialsCallback(TRIALS, states=None)
    mine.optimize(objective, callbacks=[finished])


if __name__ == "__main__":
    study()
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("mnist")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(n,)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    best = study().best_trial
    print(json.dumps(best.params | {"value": best.value}))
