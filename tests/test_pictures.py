"""Folders of pictures: which files, decoded how, split how, and what is refused."""

import hashlib
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from autoencoder import paths
from autoencoder.data import decode, pictures
from autoencoder.data.decode import Wanted
from autoencoder.data.images import Images, load_images
from autoencoder.errors import UserError

TARGET = Path("images.safetensors")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / paths.SETS / "birds").mkdir(parents=True)
    return paths.SETS / "birds"


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (6, 5, 3), dtype=np.uint8)


def put(folder: Path, name: str, pixels: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)


def fill(folder: Path, count: int = 40, *shape: int) -> None:
    for i in range(count):
        put(folder, f"{i}.png", noise(i, *shape))


def convert(size: tuple[int, int] | None = None, channels: int | None = None, test: float = 0.3) -> list[str]:
    return pictures.convert("birds", TARGET, Wanted(size, channels), test)


def planar(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).movedim(-1, 0)


def one(path: Path, size: tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    found = decode.attempt(str(path), Wanted(size, channels))
    assert not isinstance(found, str), found
    return np.frombuffer(found.pixels, np.uint8).reshape(found.shape)


def reason(path: Path) -> str:
    found = decode.attempt(str(path), Wanted())
    assert isinstance(found, str)
    return found


def test_every_picture_is_in_one_split_with_the_pixels_of_its_file(folder: Path) -> None:
    fill(folder)
    (line,) = convert()
    images = load_images(TARGET)
    assert images.shape == (3, 6, 5)
    assert images.train_labels is images.test_labels is None
    found = {image.numpy().tobytes() for image in (*images.train, *images.test)}
    assert found == {planar(noise(i)).numpy().tobytes() for i in range(40)}
    assert 5 <= len(images.test) <= 20
    assert line == f"birds: {len(images.train)} train, {len(images.test)} test images of 3 × 6 × 5 in {TARGET}"


def test_folders_are_classes_in_the_order_of_their_names(folder: Path) -> None:
    for i in range(40):
        put(folder, f"{'baZ'[i % 3]}/deep/{i}.png", noise(i))
    convert()
    images = load_images(TARGET)
    known = {planar(noise(i)).numpy().tobytes(): "Zab".index("baZ"[i % 3]) for i in range(40)}
    for kind in ("train", "test"):
        labels = [known[image.numpy().tobytes()] for image in getattr(images, kind)]
        assert getattr(images, f"{kind}_labels").tolist() == labels


def test_a_single_folder_is_no_class(folder: Path) -> None:
    fill(folder / "all")
    convert()
    assert load_images(TARGET).train_labels is None


def test_equal_pixels_share_a_split_and_new_pictures_move_no_other(folder: Path) -> None:
    fill(folder)
    convert()
    before = load_images(TARGET)
    sides = {image.numpy().tobytes() for image in before.test}
    for i in range(40):
        put(folder, f"again/{i}.bmp", noise(i))
        put(folder, f"new/{i}.png", noise(100 + i))
        (folder / f"{i}.png").rename(folder / "new" / f"old{i}.png")
    convert()
    after = load_images(TARGET)
    assert len(before.train) + len(before.test) == 40
    assert len(after.train) + len(after.test) == 120
    assert {image.numpy().tobytes() for image in after.train}.isdisjoint(sides)
    assert sides <= {image.numpy().tobytes() for image in after.test}


def test_the_split_has_about_the_fractions_and_validation_is_of_the_rest() -> None:
    splits = [pictures.split_of(hashlib.sha256(bytes([i % 256, i // 256])).digest(), 0.2, 0.25) for i in range(20_000)]
    for kind, share in (("test", 0.2), ("validation", 0.2), ("train", 0.6)):
        assert abs(splits.count(kind) / 20_000 - share) < 0.015


def test_the_bytes_do_not_depend_on_the_order_of_the_file_system(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder)
    convert()
    expected = TARGET.read_bytes()
    scandir, chance = os.scandir, np.random.default_rng(0)

    class Shuffled:
        def __init__(self, path: str) -> None:
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda _: chance.random())

        def __enter__(self) -> list["os.DirEntry[str]"]:
            return self.entries

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Shuffled)
    convert()
    assert TARGET.read_bytes() == expected


def test_names_are_ordered_by_their_normalised_bytes_in_any_script(folder: Path) -> None:
    names = ["a.png", "Z.PNG", "é.jpeg", "z.Jpg", "鳥.tif", "птица.webp", "🐦.gif"]
    for name in names:
        (folder / unicodedata.normalize("NFD", name)).touch()
    (folder / os.fsdecode(b"\xff.bmp")).touch()
    found = [os.fsencode(path).rpartition(b"/")[2] for path in pictures.find(str(folder))[0]]
    expected = sorted(name.encode() for name in names)
    assert [unicodedata.normalize("NFC", name.decode()).encode() for name in found[:-1]] == expected
    assert found[-1] == b"\xff.bmp"


def test_hidden_files_are_ignored_and_other_files_are_named(folder: Path) -> None:
    fill(folder)
    for name in (".DS_Store", "._0.png", ".hidden/x.png", "Thumbs.db", "notes.txt", "movie.mp4", "bird.heic"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no picture")
    note = convert()[1]
    assert note == "note: left out, for their suffixes: 4 files (Thumbs.db, bird.heic, movie.mp4, …)"


def test_a_link_to_a_file_is_followed_and_one_to_a_folder_refused(folder: Path) -> None:
    fill(folder)
    put(folder.parent.parent, "outside.png", noise(1000))
    (folder / "link.png").symlink_to(Path("../../outside.png"))
    convert()
    assert sum(len(split) for split in (load_images(TARGET).train, load_images(TARGET).test)) == 41
    (folder / "circle").symlink_to(folder.resolve())
    with pytest.raises(UserError, match=r"birds/circle: expected a folder, found a link to one"):
        convert()


def test_a_class_of_one_picture_is_a_warning(folder: Path) -> None:
    fill(folder / "many")
    put(folder, "one/x.png", noise(99))
    assert convert()[1:] == [f"warning: {folder}/one/x.png is the only picture of its class"]


def test_no_pictures_loose_and_filed_pictures_and_too_many_classes_are_one_line(folder: Path) -> None:
    (folder / "x.txt").touch()
    with pytest.raises(UserError, match=r"^data/sets/birds: expected pictures \(bmp, .*\), found none among 1 files$"):
        convert()
    put(folder, "a.png", noise(0))
    put(folder, "b/c.png", noise(1))
    with pytest.raises(UserError, match=r"found both \(data/sets/birds/a.png and data/sets/birds/b/c.png\)$"):
        convert()
    with pytest.raises(UserError, match="expected at most 256 folders, one per class, found 257"):
        pictures.classes([f"x/{i}/0.png" for i in range(257)], "x")


def test_an_empty_split_is_one_line(folder: Path) -> None:
    put(folder, "a.png", noise(0))
    with pytest.raises(UserError, match=r"expected images in every split, found \w+ empty \(1 pictures"):
        convert()


def test_damaged_files_are_named_up_to_ten_with_a_count_and_nothing_is_written(folder: Path) -> None:
    fill(folder)
    TARGET.write_bytes(b"earlier")
    for i in range(12):
        path = folder / f"bad{i:02}.png"
        put(folder, path.name, noise(i, 50, 50, 3))
        path.write_bytes(path.read_bytes()[:2000] if i else b"GIF no more")
    with pytest.raises(UserError) as caught:
        convert()
    first, *lines = str(caught.value).splitlines()
    assert first == "12 of 52 pictures cannot be decoded; mend or remove them:"
    assert lines[0] == f"{folder}/bad00.png: no picture in a known format (BMP, GIF, JPEG, PNG, TIFF, WEBP)"
    assert all(line.startswith(f"{folder}/bad{i:02}.png: ") for i, line in enumerate(lines[:10]))
    assert "truncated" in lines[1]
    assert lines[10:] == ["… and 2 more"]
    assert TARGET.read_bytes() == b"earlier"
    assert sorted(path.name for path in Path().iterdir()) == ["data", TARGET.name]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_truncated_file_of_any_format_has_a_reason(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    Image.fromarray(noise(0, 60, 60, 3)).save(path, kind)
    assert one(path).shape == (3, 60, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert reason(path)
    path.write_bytes(b"")
    assert reason(path).startswith("no picture in a known format")


def test_mixed_shapes_name_two_pictures_and_the_key(folder: Path) -> None:
    fill(folder, 40)
    put(folder, "x.png", noise(0, 5, 6, 3))
    with pytest.raises(UserError, match=r"0.png with 5 × 6 × 3 and .*x.png with 6 × 5 × 3 .* set data.image_size in"):
        convert()
    put(folder, "x.png", noise(0, 6, 5))
    with pytest.raises(UserError, match=r"x.png with 5 × 6 × 1 .* set data.channels to 1 \(grey\) or 3 \(colour\) in"):
        convert()
    convert(channels=1)
    assert load_images(TARGET).shape == (1, 6, 5)
    convert(size=(4, 4), channels=3)
    assert load_images(TARGET).shape == (3, 4, 4)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "x.png", noise(0, 20, 20))
    for limit in (300, 100):  # Pillow warns above the limit, and raises above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert reason(tmp_path / "x.png") == f"more than {limit} pixels; make it smaller"


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert reason(tmp_path / "x.png") == "no regular file"


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tiff"])
def test_lossless_formats_give_the_pixels(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(noise(1)).save(tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    assert one(tmp_path / f"x.{suffix}").tolist() == planar(noise(1)).tolist()


def test_grey_palette_and_1_bit_pictures(tmp_path: Path) -> None:
    put(tmp_path, "grey.png", noise(0, 6, 5))
    assert one(tmp_path / "grey.png").tolist() == [noise(0, 6, 5).tolist()]
    assert one(tmp_path / "grey.png", channels=3).tolist() == [noise(0, 6, 5).tolist()] * 3
    Image.fromarray(noise(0)).quantize(256).save(tmp_path / "palette.png")
    assert one(tmp_path / "palette.png").shape == (3, 6, 5)
    Image.fromarray(noise(0, 6, 5) > 127).save(tmp_path / "bits.png")
    assert one(tmp_path / "bits.png").tolist() == [((noise(0, 6, 5) > 127) * 255).tolist()]


def test_colour_becomes_grey_by_its_luma(tmp_path: Path) -> None:
    put(tmp_path, "x.png", noise(3))
    luma = noise(3) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(one(tmp_path / "x.png", channels=1)[0] - luma).max() <= 0.51


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    pixels = noise(4, 6, 5, len(mode))
    Image.fromarray(pixels, mode).save(tmp_path / "x.png")
    alpha = pixels[..., -1:] / 255
    expected = (pixels[..., :-1] * alpha + 255 * (1 - alpha)).transpose(2, 0, 1)
    found = one(tmp_path / "x.png")
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1


def test_a_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "x.gif", transparency=0)
    assert one(tmp_path / "x.gif")[:, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]


def test_16_bits_are_cut_to_their_upper_8_and_32_bits_refused(tmp_path: Path) -> None:
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16) + 128
    for name in ("x.png", "x.tiff"):
        Image.fromarray(values).save(tmp_path / name)
        assert one(tmp_path / name)[0].tolist() == (values >> 8).tolist()
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "f.tiff")
    assert reason(tmp_path / "f.tiff").startswith("32 bits per pixel")


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "x.tiff")
    assert one(tmp_path / "x.tiff")[:, 0, 0].tolist() == [255, 0, 0]
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=100)
    assert np.abs(one(tmp_path / "x.jpg")[:, 8, 8].astype(int) - [255, 0, 0]).max() < 6


def test_an_embedded_profile_is_not_applied(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    Image.fromarray(noise(5)).save(tmp_path / "x.png", icc_profile=profile)
    assert one(tmp_path / "x.png").tolist() == planar(noise(5)).tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_orientation_asks(tmp_path: Path, orientation: int) -> None:
    upright = noise(6)
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / "x.png", exif=exif)
    assert one(tmp_path / "x.png").tolist() == planar(upright).tolist()


def test_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (5, 6), colour) for colour in ("red", "blue")]
    for name in ("x.gif", "x.tiff", "x.webp", "x.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        red, _, blue = one(tmp_path / name)[:, 0, 0]
        assert red > 240
        assert blue < 10


def test_the_centre_is_cut_out_and_resized_without_aliases(tmp_path: Path) -> None:
    pixels = np.zeros((40, 120), np.uint8)
    pixels[:, 40:80:2] = 200  # stripes as thin as a pixel, in the central square alone
    put(tmp_path, "x.png", pixels)
    found = one(tmp_path / "x.png", size=(10, 10))[0]
    assert np.abs(found.astype(int)[:, 1:-1] - 100).max() <= 2  # subsampling would give 200 or 0
    torch_way = torch.nn.functional.interpolate(
        torch.from_numpy(pixels[None, None]).float(), (10, 30), mode="bilinear", antialias=True
    )
    assert np.abs(found - torch_way[0, 0, :, 10:20].numpy()).max() <= 1


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same(tmp_path: Path) -> None:
    down, across = np.meshgrid(np.linspace(0, 255, 800), np.linspace(0, 255, 600), indexing="ij")
    Image.fromarray(np.stack([down, across, 255 - down], -1).astype(np.uint8)).save(tmp_path / "x.jpg", quality=95)
    with Image.open(tmp_path / "x.jpg") as image:
        whole = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR, (0, 100, 600, 700))).transpose(2, 0, 1)
    assert np.abs(one(tmp_path / "x.jpg", size=(32, 32)).astype(int) - whole).max() <= 4


def test_processes_decode_the_same_as_one_and_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, 200)
    files = pictures.find(str(folder))[0]
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = [
        picture._replace(pixels=bytes(picture.pixels)) for picture in decode.decode_all(files, Wanted(), (3, 6, 5))
    ]
    assert found == [decode.attempt(file, Wanted()) for file in files]


def test_images_of_a_folder_are_images(folder: Path) -> None:
    fill(folder, 40, 8, 8)
    convert()
    assert isinstance(load_images(TARGET), Images)
