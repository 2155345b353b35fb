"""Test accuracy from few images: trained from scratch, on frozen features, and fine-tuned.

    python benchmarks/transfer.py [--root data] [overrides]

A `cnn` is trained on MNIST. Its weights are then the start of training on 100 and on 500 images of
scikit-learn's digits, scaled to MNIST's 28 pixels. All methods train for the same number of epochs.
The seed draws the images, the weights and the split.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WEIGHTS = "init.weights=mnist/checkpoints/best.pt"
METHODS = {
    "from scratch": [],
    "convolutions frozen": [WEIGHTS, "trainer.freeze=[features]"],
    "fine-tuned, body lr x 0.1": [WEIGHTS, "trainer.lr_scale={features: 0.1}"],
}


def sweeper(folder: Path, *arguments: str) -> None:
    """Run one command."""
    command = [sys.executable, "-m", "sweeper", *arguments, "tracking=none", "figures=false"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def train_on_mnist(folder: Path, arguments: argparse.Namespace) -> float:
    """Train the network whose weights are reused; return its test accuracy."""
    root = f"data.root={Path(arguments.root).absolute()}"
    limits = [f"trainer.train_limit={arguments.pretrain}", "trainer.epochs=3"]
    sweeper(folder, "data=mnist", root, *limits, "hydra.run.dir=mnist", *arguments.overrides)
    return accuracy(folder / "mnist")


def accuracy(run: Path) -> float:
    """Return the test accuracy that a run printed."""
    lines = (run / "sweeper.log").read_text(encoding="utf-8").splitlines()
    return float(next(line for line in lines if line.startswith("test accuracy")).split()[-1])


def accuracies(folder: Path, method: str, arguments: argparse.Namespace) -> dict[int, list[float]]:
    """Train one method with every seed; return the test accuracies by number of images."""
    budget = ["data.image_size=28", "data.batch_size=32", f"trainer.epochs={arguments.epochs}"]
    by_images: dict[int, list[float]] = {int(images): [] for images in arguments.images}
    for images, found in by_images.items():
        for seed in range(arguments.seeds):
            run = f"method{list(METHODS).index(method)}-{images}-{seed}"
            own = [f"hydra.run.dir={run}", f"seed={seed}", f"trainer.train_limit={images}"]
            sweeper(folder, *own, *budget, *METHODS[method], *arguments.overrides)
            found.append(accuracy(folder / run))
    return by_images


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", help="overrides of every command")
    parser.add_argument("--root", default="data", help="folder with torchvision's MNIST")
    parser.add_argument("--pretrain", type=int, default=10_000, help="images of MNIST")
    parser.add_argument("--images", nargs="+", default=["100", "500"], help="training images")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir()) / "transfer.json")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        mnist = train_on_mnist(Path(folder), arguments)
        print(f"MNIST, {arguments.pretrain} images: test accuracy {mnist:.4f}\n", flush=True)
        print(f"{'median test accuracy':<28}{'images':>8}{'median':>9}{'min':>9}{'max':>9}")
        for method in METHODS:
            for images, measured in accuracies(Path(folder), method, arguments).items():
                rows.append({"method": method, "images": images, "test_accuracy": sorted(measured)})
                middle, ends = statistics.median(measured), (min(measured), max(measured))
                print(f"{method:<28}{images:>8}{middle:>9.4f}{ends[0]:>9.4f}{ends[1]:>9.4f}")
    result = {"mnist": mnist, "rows": rows}
    arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
