"""Images per second from a folder of photographs, compared with torch's `DataLoader`.

    python benchmarks/photographs.py [--images 5000] [--rounds 3] [--json FILE]

sweeper      `data=image_folder` with RandomResizedCrop(224) and RandomHorizontalFlip
data_loader  `DataLoader` over torchvision's `ImageFolder` with the same transforms, `ToTensor` and
             `Normalize`; with the number of workers that is fastest on this machine

The photographs are JPEG files of 500 x 375 pixels, made in a temporary folder. A first epoch starts
with the files: sweeper decodes them into an empty cache, `DataLoader` starts its workers. The next
epochs follow it. Both give normalised float32 batches, and nothing is trained. The two take turns
in every round; the ratios are those of the medians.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder as TorchvisionFolder
from torchvision.transforms import v2

from sweeper.data.image_data import ImageData
from sweeper.data.image_folder import ImageFolder
from sweeper.data.prepare import PipelineKeys, RunNeeds, prepare

WIDTH, HEIGHT, SIDE, BATCH_SIZE = 500, 375, 224, 64
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
WORKERS = (0, 1, 2, 3, 4, 6, 8, 12, 16)
TRIED_IMAGES = 640


def draw(root: Path, number: int) -> None:
    """Write a photograph: smooth colours with noise, so that a file has about 85 kB."""
    rng = np.random.default_rng(number)
    colours = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(colours.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = smooth + rng.normal(0, 12, smooth.shape).astype(np.int16)
    folder = root / ("val" if number < 2 else "train") / "ab"[number % 2]
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=90)


def prepared(root: Path, cache: Path) -> ImageData:
    """Return the data as `python -m sweeper data=image_folder` prepares it."""
    crop, flip = v2.RandomResizedCrop(SIDE), v2.RandomHorizontalFlip()
    keys = PipelineKeys(
        batch_size=BATCH_SIZE,
        val_fraction=0.1,
        image_size=SIDE,
        resize="crop",
        mean=MEAN,
        std=STD,
        resident="auto",
        resident_limit_gib=4.0,
        num_workers=2,
        cache_dir=cache,
        train_transform=[crop, flip],
        eval_transform=[],
    )
    needs = RunNeeds(seed=0, min_image_size=1, device=torch.device("cpu"), channels_last=True)
    return prepare(ImageFolder(str(root), "rgb", 0.0), keys, needs)


def loader(root: Path, workers: int) -> DataLoader:
    """Return the usual `DataLoader`."""
    steps = [
        transforms.RandomResizedCrop(SIDE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    dataset = TorchvisionFolder(str(root / "train"), transforms.Compose(steps))
    return DataLoader(
        dataset, BATCH_SIZE, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )


def exhausted(batches: Iterable[object]) -> int:
    """Return the number of batches."""
    return sum(1 for _ in batches)


def seconds(function: Callable[[], object]) -> float:
    """Return the time of a call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def best_workers(root: Path, most: int) -> int:
    """Return the number of workers that reads a part of the photographs fastest."""

    def of_part(workers: int) -> float:
        batches = loader(root, workers)
        part = torch.utils.data.Subset(
            batches.dataset, range(min(TRIED_IMAGES, len(batches.dataset)))
        )
        tried = DataLoader(part, BATCH_SIZE, num_workers=workers, persistent_workers=workers > 0)
        exhausted(tried)  # the workers have started
        return min(seconds(lambda: exhausted(tried)) for _ in range(2))

    return min((w for w in WORKERS if w <= most), key=of_part)


def measure(arguments: argparse.Namespace, root: Path) -> dict[str, object]:
    """Return images per second of first and later epochs, and their ratios."""
    n = arguments.images
    workers = best_workers(root, arguments.max_workers)
    times: dict[tuple[str, str], list[float]] = {}

    def timed(name: str, epoch: str, function: Callable[[], object]) -> None:
        times.setdefault((name, epoch), []).append(seconds(function))

    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(dir=root.parent) as cache:
            data: list[ImageData] = []
            batches: list[DataLoader] = []

            def first_of_sweeper(cache: str = cache, data: list[ImageData] = data) -> None:
                data.append(prepared(root, Path(cache)))
                exhausted(data[0].train(0))

            def first_of_loader(batches: list[DataLoader] = batches) -> None:
                batches.append(loader(root, workers))
                exhausted(batches[0])

            timed("data_loader", "first", first_of_loader)
            timed("sweeper", "first", first_of_sweeper)
            for epoch in range(1, arguments.next_epochs + 1):
                timed("data_loader", "next", lambda batches=batches: exhausted(batches[0]))
                timed("sweeper", "next", partial(_epoch, data[0], epoch))
    rate = {key: n / statistics.median(values) for key, values in times.items()}
    row: dict[str, object] = {"images": n, "workers": workers, "threads": torch.get_num_threads()}
    for epoch in ("first", "next"):
        ours, theirs = rate["sweeper", epoch], rate["data_loader", epoch]
        row[epoch] = {
            "sweeper": round(ours),
            "data_loader": round(theirs),
            "ratio": round(ours / theirs, 2),
        }
    return row


def _epoch(data: ImageData, epoch: int) -> int:
    return exhausted(data.train(epoch))


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--next-epochs", type=int, default=2, help="in a round")
    parser.add_argument("--max-workers", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--folder", type=Path, help="where photographs and caches lie meanwhile")
    parser.add_argument(
        "--json", type=Path, default=Path(tempfile.gettempdir()) / "photographs.json"
    )
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers are tried
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = Path(folder, "photographs")
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(draw, root), range(arguments.images + 2), chunksize=32))
        row = measure(arguments, root)
    print(f"{row['images']:,} photographs, {row['workers']} workers, {row['threads']} threads")
    print("images per second".ljust(18) + "".join(f"{k:>14}" for k in row["first"]))
    for epoch in ("first", "next"):
        print(
            f"{epoch} epoch".ljust(18) + "".join(f"{value:>14,}" for value in row[epoch].values())
        )
    arguments.json.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.json}")


if __name__ == "__main__":
    main()
