"""Milliseconds of a training step in float32 and in bfloat16, with their ratio.

    python benchmarks/precision.py [--threads 1] [--json FILE]

The networks and batches are those of `memory_format.py`, in channels_last on the CPU. The two
precisions take turns, and the ratios are those of the medians.
"""

import argparse
import json
from pathlib import Path

import torch
from memory_format import CASES, compare, network, steps


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = {}
    for data, batch_size, *overrides in CASES:
        model, images = network(str(data), int(batch_size), tuple(map(str, overrides)))
        settings = [argparse.Namespace(device="cpu", precision=p) for p in ("fp32", "bf16")]
        made = [steps(model, images, torch.channels_last, each)["train"] for each in settings]
        first, last = compare(*made, "cpu")
        key = f"{data}, {batch_size} images, {' '.join(map(str, overrides))}"
        results[key] = {"fp32_ms": first, "bf16_ms": last}
        print(f"{key:58} {first:8.2f} {last:8.2f} ms {first / last:6.2f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
