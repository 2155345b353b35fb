"""The wide search R2 as a script around Optuna: two processes, resident tensors, halving.

    python wide_optuna.py ROOT SEED

Its space is that of the options `model=cnn,lenet5,mlp` and `optimizer=sgd,adam,rmsprop`, written
down by hand. `benchmarks/wide_search.py` runs it and reads the MLflow database that it leaves.
"""

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
N_TRAIN, N_VAL, EPOCHS, TRIALS = 10_000, 2_000, 9, 60
ACTIVATIONS = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh,
    "gelu": nn.GELU, "silu": nn.SiLU,
}  # fmt: skip
POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    mnist = MNIST(ROOT, train=True)
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(SEED))
    train, val = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_VAL]
    images = (mnist.data[:, None].float() / 255 - 0.1307) / 0.3081
    images = images.contiguous(memory_format=torch.channels_last)
    return images[train], mnist.targets[train], images[val], mnist.targets[val]


def suggest(trial: optuna.Trial) -> dict[str, object]:
    """Return the config of a trial by the keys of the program, which retrains it."""
    network = trial.suggest_categorical("model", ["cnn", "lenet5", "mlp"])
    kind = trial.suggest_categorical("optimizer", ["sgd", "adam", "rmsprop"])
    config: dict[str, object] = {"model": network, "optimizer": kind}
    config["scheduler"] = trial.suggest_categorical("scheduler", ["none", "cosine"])
    config["optimizer.lr"] = trial.suggest_float("lr", 1e-6, 1e-1, log=True)
    config["data.batch_size"] = trial.suggest_categorical("batch_size", [32, 64, 128, 256])
    top = 1e-1 if kind == "adam" else 1e-2
    name = "weight_decay@adam" if kind == "adam" else "weight_decay"
    config["optimizer.weight_decay"] = trial.suggest_float(name, 1e-6, top, log=True)
    if kind == "sgd":
        config["optimizer.momentum"] = trial.suggest_float("momentum@sgd", 0.8, 0.99)
    if kind == "rmsprop":
        config["optimizer.momentum"] = trial.suggest_float("momentum@rmsprop", 0.0, 0.95)

    def choice(key: str, *values: object) -> None:
        text = trial.suggest_categorical(f"{key}@{network}", [str(value) for value in values])
        config[f"model.{key}"] = next(value for value in values if str(value) == text)

    if network == "cnn":
        choice("channels", [8, 16], [16, 32], [32, 64], [64, 128])
        choice("kernel_size", 2, 3, 4, 5, 7)
        choice("batch_norm", True, False)
        choice("activation", "relu", "leaky_relu", "tanh", "gelu", "silu")
        choice("pooling", "max", "average")
        config["model.dropout"] = trial.suggest_float("dropout", 0.0, 0.5)
    elif network == "lenet5":
        choice("channels", [6, 16], [12, 32], [24, 64])
        choice("kernel_size", 3, 5, 7)
        choice("activation", "sigmoid", "tanh", "relu", "gelu")
        choice("hidden", [84], [120, 84], [240, 168])
        choice("pooling", "max", "average")
        config["model.dropout"] = trial.suggest_float("dropout", 0.0, 0.5)
    else:
        choice("hidden", [128], [512], [512, 256], [1024, 512, 256])
        choice("batch_norm", True, False)
        choice("activation", "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu")
        config["model.dropout"] = trial.suggest_float("dropout@mlp", 0.0, 0.6)
    return config


def build(config: dict[str, object]) -> nn.Module:
    network, dropout = config["model"], float(config["model.dropout"])
    activation = ACTIVATIONS[config["model.activation"]]
    norm = bool(config.get("model.batch_norm", False))
    layers: list[nn.Module] = []
    if network != "mlp":
        size, kernel = 1, config["model.kernel_size"]
        for index, channels in enumerate(config["model.channels"]):
            padding = 0 if network == "lenet5" and index == 1 else "same"
            layers.append(nn.Conv2d(size, channels, kernel, padding=padding, bias=not norm))
            layers += [nn.BatchNorm2d(channels)] if norm else []
            layers += [activation(), POOLINGS[config["model.pooling"]](2)]
            size = channels
        norm = False
    layers.append(nn.Flatten())
    hidden = config.get("model.hidden", [])
    for width in hidden:
        layers.append(nn.LazyLinear(width, bias=not norm))
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [activation(), nn.Dropout(dropout)]
    layers += [] if hidden else [nn.Dropout(dropout)]
    model = nn.Sequential(*layers, nn.LazyLinear(10))
    model(torch.zeros(2, 1, 28, 28))
    return model.to(memory_format=torch.channels_last)


def make_optimizer(config: dict[str, object], model: nn.Module) -> torch.optim.Optimizer:
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    given = {k.partition(".")[2]: v for k, v in config.items() if k.startswith("optimizer.")}
    return kinds[config["optimizer"]](model.parameters(), **given)


def objective(trial: optuna.Trial) -> float:
    config = suggest(trial)
    torch.manual_seed(SEED)
    model, batch = build(config), config["data.batch_size"]
    optimizer = make_optimizer(config, model)
    steps = EPOCHS * len(torch.arange(N_TRAIN).split(batch))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best = 0.0
    with mlflow.start_run(run_name=f"trial {trial.number}"):
        mlflow.log_params(config)
        for epoch in range(EPOCHS):
            model.train()
            for index in torch.randperm(N_TRAIN).split(batch):
                optimizer.zero_grad()
                functional.cross_entropy(model(x[index]), y[index]).backward()
                optimizer.step()
                if config["scheduler"] == "cosine":
                    schedule.step()
            model.eval()
            with torch.no_grad():
                accuracy = (model(x_val).argmax(1) == y_val).float().mean().item()
            best = max(best, accuracy)
            mlflow.log_metric("val/accuracy", accuracy, step=epoch)
            trial.report(accuracy, epoch + 1)
            if trial.should_prune():
                raise optuna.TrialPruned
    return best


def study() -> optuna.Study:
    sampler = optuna.samplers.TPESampler(
        seed=SEED, multivariate=True, group=True, constant_liar=True
    )
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend("journal.log")),
        study_name="wide",
        load_if_exists=True,
        direction="maximize",
        sampler=sampler,
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )


def work(number: int) -> None:
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
