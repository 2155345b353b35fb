import pytest
import torch

from sweeper.data.image_data import evaluation_batch_size


@pytest.mark.parametrize(
    ("batch_size", "shape", "device", "expected"),
    [
        (64, (1, 8, 8), "cpu", 2048),
        (64, (1, 28, 28), "cpu", 167),
        (64, (3, 32, 32), "cpu", 64),
        (1, (3, 500, 500), "cpu", 1),
        (64, (1, 28, 28), "meta", 256),
    ],
)
def test_a_batch_of_an_evaluation_stays_in_the_caches_of_a_cpu(
    batch_size, shape, device, expected
) -> None:
    assert evaluation_batch_size(batch_size, shape, torch.device(device)) == expected
