"""The first momentum of parameters that torch's fused kernel of SGD does not give it to."""

import torch
from torch.optim import SGD


def start_momentum(optimizer: SGD, may_skip: bool) -> None:
    """Give a momentum of zeros to the parameters whose first one the fused kernel cannot set.

    The kernel starts the momentum of a whole group at once. It fails if a parameter gets its first
    gradient later than others, as one does in a layer that is left out at random. And if it skips
    its first step because a gradient overflowed, it takes whatever lies in memory as the momentum.

    may_skip: half precision may overflow, so that a step is skipped.
    """
    for group in optimizer.param_groups:
        if not (group.get("fused") and group["momentum"]):
            continue
        trained = [parameter for parameter in group["params"] if parameter.grad is not None]
        new = [p for p in trained if optimizer.state.get(p, {}).get("momentum_buffer") is None]
        if may_skip or len(new) < len(trained):
            for parameter in new:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
