"""The pixels of image files of every kind, as a viewer shows them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw, ImageOps
from torchvision.transforms import v2

from sweeper.data.decoding import Decoding, colour, upright_size
from sweeper.data.image_files import FileImages, with_image
from sweeper.errors import ConfigError, DataError

WHOLE = Decoding(None)


def pixels(path: Path, mode: str = "RGB", decoding: Decoding = WHOLE) -> NDArray[np.uint8]:
    return with_image(path, lambda image: decoding.pixels(image, mode))


def scene(width: int = 60, height: int = 40) -> Image.Image:
    """Return a picture that no rotation or reflection leaves as it is."""
    image = Image.new("RGB", (width, height), "navy")
    ImageDraw.Draw(image).rectangle((0, 0, width // 3, height // 5), "orange")
    ImageDraw.Draw(image).rectangle((width - 8, 0, width, 8), "lime")
    return image


def oriented(path: Path, orientation: int, **options: Any) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    scene().save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_images_are_upright_as_pillow_turns_them(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    path = oriented(tmp_path / f"a.{suffix}", orientation)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert pixels(path).tolist() == np.asarray(expected).tolist()
    assert with_image(path, upright_size) == (expected.height, expected.width)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_photograph_is_reduced_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = scene(900, 600)
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
    reduced = v2.CenterCrop((20, 24))(v2.Resize(24)(turned))
    got = pixels(tmp_path / "a.jpg", decoding=Decoding((20, 24)))
    assert got.shape == (20, 24, 3)
    if orientation < 5:  # height 20 decides for these, width 24 for the others
        reduced = v2.CenterCrop((20, 24))(v2.Resize(20)(turned))
    assert np.abs(got.astype(int) - np.asarray(reduced).astype(int)).mean() < 3


def test_damaged_exif_data_leaves_the_image_as_it_is_stored(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png", exif=b"Exif\0\0no such thing")
    assert pixels(tmp_path / "a.png").shape == (40, 60, 3)


def test_an_orientation_that_does_not_exist_is_ignored(tmp_path: Path) -> None:
    assert pixels(oriented(tmp_path / "a.png", 77)).shape == (40, 60, 3)


TRANSPARENT_RED = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
HALF_RED = Image.new("RGBA", (4, 4), (255, 0, 0, 128))


def palette() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (TRANSPARENT_RED, {}, [255, 255, 255]),
        (HALF_RED, {}, [255, 127, 127]),
        (Image.new("LA", (4, 4), (0, 0)), {}, [255, 255, 255]),
        (Image.new("LA", (4, 4), (90, 255)), {}, [90, 90, 90]),
        (palette(), {"transparency": 1}, [255, 255, 255]),
        (palette(), {"transparency": 0}, [255, 0, 0]),
        (palette(), {"transparency": bytes([255, 128])}, [255, 127, 127]),
        (Image.new("RGB", (4, 4), "red"), {"transparency": (255, 0, 0)}, [255, 255, 255]),
        (Image.new("L", (4, 4), 9), {"transparency": 9}, [255, 255, 255]),
        (Image.new("L", (4, 4), 9), {"transparency": 8}, [9, 9, 9]),
        (Image.new("I;16", (4, 4), 40_000), {}, [156, 156, 156]),
        (Image.new("I;16", (4, 4), 40_000), {"transparency": 40_000}, [255, 255, 255]),
        (Image.new("1", (4, 4), 1), {}, [255, 255, 255]),
    ],
)
def test_hidden_colours_are_not_shown(
    tmp_path: Path, image: Image.Image, options: dict[str, Any], expected: list[int]
) -> None:
    image.save(tmp_path / "a.png", **options)
    shown = pixels(tmp_path / "a.png")
    assert shown.shape == (4, 4, 3)
    assert np.abs(shown.reshape(-1, 3).astype(int) - expected).max() <= 1
    gray = pixels(tmp_path / "a.png", "L")
    assert (
        np.abs(gray.astype(int) - np.asarray(Image.fromarray(shown).convert("L"))[..., None]).max()
        <= 1
    )


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_transparency_of_other_formats(tmp_path: Path, suffix: str) -> None:
    TRANSPARENT_RED.save(tmp_path / f"a.{suffix}")
    assert (pixels(tmp_path / f"a.{suffix}") == 255).all()


@pytest.mark.parametrize(
    ("typed", "expected"), [("black", (0, 0, 0)), ("#0a0b0c", (10, 11, 12)), ([1, 2, 3], (1, 2, 3))]
)
def test_the_background_is_configured(
    tmp_path: Path, typed: Any, expected: tuple[int, ...]
) -> None:
    TRANSPARENT_RED.save(tmp_path / "a.png")
    decoding = Decoding(None, background=colour(typed, "data.background"))
    assert pixels(tmp_path / "a.png", decoding=decoding)[0, 0].tolist() == list(expected)


@pytest.mark.parametrize("typed", ["whit", "", "300", [1, 2], [0, 0, 256], [-1, 0, 0], []])
def test_no_colour_is_one_line(typed: Any, refuses: Any) -> None:
    with refuses(ConfigError, r"^data\.background=.*: expected a colour; type its name such as"):
        colour(typed, "data.background")


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_colours_of_print_become_those_of_a_screen(tmp_path: Path, suffix: str) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / f"a.{suffix}")
    (red,) = np.unique(pixels(tmp_path / f"a.{suffix}").reshape(-1, 3), axis=0)
    assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 3


def test_pixels_of_32_bits_are_refused(tmp_path: Path, refuses: Any) -> None:
    Image.new("F", (4, 4), 0.5).save(tmp_path / "a.tiff")
    with refuses(
        DataError, r"a\.tiff cannot be read .*its pixels have 32 bits; save it with 8 or 16"
    ):
        pixels(tmp_path / "a.tiff")


@pytest.mark.parametrize("size", [(30, 30), (20, 45), (64, 16)])
def test_a_circle_stays_a_circle(tmp_path: Path, size: tuple[int, int]) -> None:
    image = Image.new("L", (120, 80))
    ImageDraw.Draw(image).ellipse((50, 30, 70, 50), 255)
    image.save(tmp_path / "a.png")
    shown = FileImages((tmp_path / "a.png",), "L", Decoding(size))[np.array([0])][0, 0] > 127
    high, wide = shown.any(axis=1).sum(), shown.any(axis=0).sum()
    assert abs(int(high) - int(wide)) <= 1
    squash = Decoding((40, 20), "squash")
    squashed = FileImages((tmp_path / "a.png",), "L", squash)[np.array([0])][0, 0] > 127
    assert squashed.any(axis=1).sum() > 2 * squashed.any(axis=0).sum()


@pytest.mark.parametrize("side", [7, 30, 41])
def test_the_centre_is_that_of_torchvision(tmp_path: Path, side: int) -> None:
    image = scene(61, 47)
    image.save(tmp_path / "a.png")
    expected = v2.CenterCrop(side)(v2.Resize(side)(image))
    assert pixels(tmp_path / "a.png", decoding=Decoding((side, side))).tolist() == (
        np.asarray(expected).tolist()
    )


def test_a_side_limit_keeps_proportions_and_smaller_images(tmp_path: Path) -> None:
    scene(60, 40).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png", decoding=Decoding(None, side_limit=20)).shape == (20, 30, 3)
    assert pixels(tmp_path / "a.png", decoding=Decoding(None, side_limit=50)).shape == (40, 60, 3)
