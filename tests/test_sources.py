import gzip
import hashlib
import math
import socket
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autoencoder.data import sources
from autoencoder.data.idx import read_idx, unpack
from autoencoder.data.images import Images
from autoencoder.errors import UserError

SHAPES = {"train_images": (6, 4, 5), "train_labels": (6,), "test_images": (2, 4, 5), "test_labels": (2,)}
ANY_SHAPE = st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple)


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape) + values


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds all of a tiny MNIST, whose sizes and SHA-256 take the place of the true ones."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = {}
    for name, shape in zip(datasets.MNIST_FILES, SHAPES.values(), strict=True):
        content = gzip.compress(idx(shape, bytes(range(math.prod(shape)))))
        (folder / name).write_bytes(content)
        files[name] = (len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(datasets, "SHAPES", SHAPES)
    monkeypatch.setattr(datasets, "MNIST_FILES", files)
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture
def url(mirror: Path) -> Iterator[str]:
    """The address of a loopback server that offers the mirror."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=mirror)) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def check_tiny_mnist(tensors: dict[str, torch.Tensor]) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "train_images": (6, 1, 4, 5),
        "train_labels": (6,),
        "test_images": (2, 1, 4, 5),
        "test_labels": (2,),
    }
    for tensor in tensors.values():
        assert tensor.dtype == torch.uint8
        assert tensor.flatten().tolist() == list(range(tensor.numel()))


def test_a_mirror_may_be_a_folder(mirror: Path) -> None:
    check_tiny_mnist(sources.load("mnist", str(mirror)))


def test_a_mirror_may_be_a_folder_relative_to_the_current_one(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mirror.parent)
    check_tiny_mnist(sources.load("mnist", "mirror"))


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirror_may_be_a_url(url: str, end: str) -> None:
    check_tiny_mnist(sources.load("mnist", url + end))


def test_the_next_mirror_is_asked_for_a_file_that_one_lacks(mirror: Path, url: str, tmp_path: Path) -> None:
    name, *_ = datasets.MNIST_FILES
    address, content = sources.fetch(name, [str(tmp_path / "nowhere"), url + "/nowhere", url], limit=4096)
    assert address == f"{url}/{name}"
    assert content == (mirror / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("mnist", ["127.0.0.1:1", "ossci-datasets.s3.amazonaws.com", "yann.lecun.com"]),
        ("fashion_mnist", ["127.0.0.1:1", "fashion-mnist.s3-website.eu-central-1.amazonaws.com"]),
        ("kmnist", ["127.0.0.1:1", "codh.rois.ac.jp"]),
    ],
)
def test_without_a_network_each_address_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, name: str, hosts: list[str]
) -> None:
    def unreachable(address: str, timeout: float) -> None:
        assert timeout > 0
        raise OSError(f"no route for {address.partition(':')[0]}")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(sources.NoMirrorError) as caught:
        sources.load(name, "http://me:secret@127.0.0.1:1")
    message = str(caught.value)
    assert "secret" not in message
    positions = [message.index(f"://{host}/") for host in hosts]
    assert positions == sorted(positions)
    assert message.count("(no route for http") == len(hosts) - 1
    assert (
        "://127.0.0.1:1/train-images-idx3-ubyte.gz (a user and a password in an address are not supported)" in message
    )
    assert "AUTOENCODER_MIRROR" in message
    assert "data.name=digits" in message


def test_https_is_asked_before_http(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    asked = []

    def unreachable(address: str, timeout: float) -> None:
        asked.append((address, timeout))
        raise OSError("unreachable")

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://a/", "https://b/", "http://c/", "https://d/"])
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(sources.NoMirrorError):
        sources.load("mnist")
    assert [address.rpartition("/")[0] for address, _ in asked] == ["https://b", "https://d", "http://a", "http://c"]


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "TIMEOUT", 0.2)
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(sources.NoMirrorError, match=r"/file .*timed out"):
            sources.fetch("file", [address], limit=10)


@pytest.mark.parametrize("mirror", ["ftp://", "unknown://host", "http://[", "http://127.0.0.1:99999"])
def test_an_address_that_is_none_is_a_mirror_that_cannot_be_reached(mirror: str) -> None:
    with pytest.raises(sources.NoMirrorError):
        sources.fetch("file", [mirror], limit=10)


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1], lambda content: content[:-1] + b"!", lambda content: content + b"!"],
    ids=["truncated", "altered", "oversized"],
)
def test_a_damaged_file_is_an_error_and_not_a_missing_mirror(mirror: Path, damage: Callable[[bytes], bytes]) -> None:
    file = mirror / "train-labels-idx1-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=r"train-labels.*expected 34 bytes with SHA-256 .*, found .*altered") as caught:
        sources.load("mnist", str(mirror))
    assert not isinstance(caught.value, sources.NoMirrorError)


def test_what_was_verified_once_is_kept_and_not_fetched_again(mirror: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    check_tiny_mnist(sources.load("mnist", str(mirror), kept))
    assert sorted(path.name for path in (kept / "mnist").iterdir()) == sorted(path.name for path in mirror.iterdir())
    check_tiny_mnist(sources.load("mnist", str(tmp_path / "none"), kept))


def test_what_is_altered_is_not_kept(mirror: Path, tmp_path: Path) -> None:
    (mirror / "train-images-idx3-ubyte.gz").write_bytes(b"altered")
    with pytest.raises(UserError, match="expected "):
        sources.load("mnist", str(mirror), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_sibling_is_verified_by_the_md5_that_torchvision_lists(mirror: Path) -> None:
    with pytest.raises(UserError, match="expected MD5 8d4fb7e6c68d591d4c3dfef9ec88bf0d, found MD5 "):
        sources.load("fashion_mnist", str(mirror))
    sources.verify("file", b"abc", "900150983cd24fb0d6963f7d28e17f72", None)


def test_an_oversized_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    with pytest.raises(UserError, match="expected at most 1,000 bytes, found more"):
        sources.fetch("file", [str(tmp_path)], limit=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    tracemalloc.start()
    with pytest.raises(UserError, match="expected 1,000 bytes unpacked, found more"):
        unpack(bomb, 1000, "file")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


@given(content=st.binary(max_size=200))
def test_unpacking_is_the_inverse_of_packing(content: bytes) -> None:
    assert unpack(gzip.compress(content), len(content), "file") == content


@given(content=st.binary(min_size=1, max_size=50), data=st.data())
def test_a_damaged_gzip_file_is_refused_or_unpacks_to_the_same(content: bytes, data: st.DataObject) -> None:
    packed = bytearray(gzip.compress(content))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    try:
        unpacked = unpack(bytes(packed), len(content), "file")
    except UserError:
        return
    assert unpacked == content  # the damage is in the time stamp or the name


@given(shape=ANY_SHAPE, data=st.data())
def test_idx_is_read_as_numpy_reads_it(shape: tuple[int, ...], data: st.DataObject) -> None:
    values = data.draw(st.binary(min_size=math.prod(shape), max_size=math.prod(shape)))
    tensor = read_idx(idx(shape, values), shape, "file")
    assert tensor.dtype == torch.uint8
    assert tensor.shape == shape
    assert tensor.numpy().tobytes() == values


@given(shape=ANY_SHAPE, data=st.data())
def test_idx_of_another_shape_type_or_length_is_refused(shape: tuple[int, ...], data: st.DataObject) -> None:
    content = idx(shape, bytes(math.prod(shape)))
    header = 4 + 4 * len(shape)
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, header - 1))
        content = (
            content[:position] + bytes([content[position] ^ data.draw(st.integers(1, 255))]) + content[position + 1 :]
        )
    else:
        content = data.draw(st.sampled_from([content + b"\0", content[: data.draw(st.integers(0, len(content) - 1))]]))
    with pytest.raises(UserError, match=r"^file: expected "):
        read_idx(content, shape, "file")


@given(content=st.binary(max_size=64))
def test_any_bytes_but_the_true_ones_are_refused_with_one_line(content: bytes) -> None:
    for attempt in (content, struct.pack(">4BI", 0, 0, 8, 1, 100) + content):
        with pytest.raises(UserError) as caught:
            read_idx(attempt, (100,), "file")
        assert "\n" not in str(caught.value)


def test_digits_are_scikit_learns_with_pixels_from_0_to_255(digits: Images) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.cat([digits.train, digits.test])
    labels = torch.cat([digits.train_labels, digits.test_labels])
    assert images.shape == (1797, 1, 8, 8)
    assert len(digits.train) == 1500
    assert (images.amin().item(), images.amax().item()) == (0, 255)
    assert (images.squeeze(1) / 255 * 16).round().numpy().tolist() == bunch.images.tolist()
    assert labels.tolist() == bunch.target.tolist()
