"""Where a set comes from: data/sets/NAME/source.yaml, mirrors that fail or lie, and what is verified and kept."""

import gzip
import hashlib
import json
import math
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from conftest import ROOT
from test_idx import idx

from autoencoder import paths
from autoencoder.data import sources
from autoencoder.data.images import Images
from autoencoder.errors import UserError

SHAPES = {"train_images": (6, 4, 5), "train_labels": (6,), "test_images": (2, 4, 5), "test_labels": (2,)}
NAMES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
Source = dict[str, Any]


def write_source(content: Source | str, name: str = "tiny") -> Path:
    """Make data/sets/`name` with this source.yaml."""
    path = paths.SETS / name / "source.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))  # which is YAML
    return path


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds all files of a set `tiny`, in the format of MNIST; the current folder knows that set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "mirror"
    folder.mkdir()
    for part, name in NAMES.items():
        (folder / name).write_bytes(gzip.compress(idx(SHAPES[part], bytes(range(math.prod(SHAPES[part]))))))
    write_source(tiny(folder))
    return folder


def tiny(folder: Path) -> Source:
    """The source.yaml of the files in `folder`, with an address that nobody answers at."""
    files = {}
    for part, name in NAMES.items():
        content = (folder / name).read_bytes()
        known = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        files[part] = {"name": name, "shape": list(SHAPES[part])} | known
    return {"addresses": ["http://127.0.0.1:1/"], "files": files}


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


def check_tiny(images: Images) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in vars(images).items() if tensor is not None} == {
        "train": (6, 1, 4, 5),
        "train_labels": (6,),
        "test": (2, 1, 4, 5),
        "test_labels": (2,),
    }
    for tensor in filter(lambda tensor: tensor is not None, vars(images).values()):
        assert tensor.dtype == torch.uint8
        assert tensor.flatten().tolist() == list(range(tensor.numel()))


def test_a_mirror_may_be_a_folder(mirror: Path) -> None:
    check_tiny(sources.load("tiny", str(mirror)))


def test_a_mirror_may_be_a_folder_relative_to_the_current_one(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mirror.parent)
    check_tiny(sources.load("tiny", "mirror"))


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirror_may_be_a_url(url: str, end: str) -> None:
    check_tiny(sources.load("tiny", url + end))


def test_the_next_mirror_is_asked_for_a_file_that_one_lacks(mirror: Path, url: str, tmp_path: Path) -> None:
    name = NAMES["train_images"]
    address, content = sources.fetch(name, [str(tmp_path / "nowhere"), url + "/nowhere", url], limit=4096)
    assert address == f"{url}/{name}"
    assert content == (mirror / name).read_bytes()


def test_a_set_is_fetched_from_its_own_addresses_in_their_order(mirror: Path, url: str, tmp_path: Path) -> None:
    source = tiny(mirror)
    for addresses in (["http://127.0.0.1:1/", url], [str(tmp_path / "nowhere"), str(mirror)]):
        write_source(source | {"addresses": addresses})
        check_tiny(sources.load("tiny"))
    write_source(source | {"addresses": [str(tmp_path / "lies"), str(mirror)]})
    (tmp_path / "lies").mkdir()
    (tmp_path / "lies" / NAMES["train_images"]).write_bytes(b"altered")
    with pytest.raises(UserError, match=r"lies/train-images.*expected SHA-256"):
        sources.load("tiny")


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
    monkeypatch.chdir(ROOT)

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


def test_of_torchvisions_addresses_https_is_asked_before_http(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    asked = []

    def unreachable(address: str, timeout: float) -> None:
        asked.append((address, timeout))
        raise OSError("unreachable")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(torchvision.datasets.KMNIST, "mirrors", ["http://a/", "https://b/", "http://c/", "https://d/"])
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(sources.NoMirrorError):
        sources.load("kmnist")
    assert [address.rpartition("/")[0] for address, _ in asked] == ["https://b", "https://d", "http://a", "http://c"]


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TIMEOUT", 0.2)
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
    ("damage", "message"),
    [
        (lambda content: content[:-1], "expected SHA-256 {sha256}, found SHA-256 .* of 33 bytes; altered"),
        (lambda content: content[:-1] + b"!", "expected SHA-256 {sha256}, found SHA-256 .* of 34 bytes; altered"),
        (lambda content: content + b"!", "expected at most 34 bytes, found more; remove it"),
    ],
    ids=["truncated", "altered", "oversized"],
)
def test_a_damaged_file_is_an_error_and_not_a_missing_mirror(
    mirror: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    file = mirror / "train-labels-idx1-ubyte.gz"
    sound = file.read_bytes()
    file.write_bytes(damage(sound))
    expected = message.format(sha256=hashlib.sha256(sound).hexdigest())
    with pytest.raises(UserError, match=f"train-labels.*: {expected}") as caught:
        sources.load("tiny", str(mirror))
    assert not isinstance(caught.value, sources.NoMirrorError)


def test_what_was_verified_once_is_kept_and_not_fetched_again(mirror: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    check_tiny(sources.load("tiny", str(mirror), kept))
    assert sorted(path.name for path in (kept / "tiny").iterdir()) == sorted(path.name for path in mirror.iterdir())
    check_tiny(sources.load("tiny", str(tmp_path / "none"), kept))


def test_what_is_altered_is_not_kept(mirror: Path, tmp_path: Path) -> None:
    (mirror / "train-images-idx3-ubyte.gz").write_bytes(b"altered")
    with pytest.raises(UserError, match="expected "):
        sources.load("tiny", str(mirror), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_the_files_of_torchvisions_sets_are_verified_by_the_md5_that_torchvision_lists(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match="expected MD5 8d4fb7e6c68d591d4c3dfef9ec88bf0d, found MD5 "):
        sources.load("fashion_mnist", str(mirror))
    sources.verify("file", b"abc", sources.Wanted("file", (3,), 3, "md5", "900150983cd24fb0d6963f7d28e17f72"))


@pytest.mark.parametrize(
    ("name", "kind"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_the_sets_have_the_files_that_torchvision_lists(monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    from torchvision import datasets

    monkeypatch.chdir(ROOT)
    source = sources.read_source(name)
    if isinstance(source, sources.Addresses):
        _, wanted = sources._listed(source)
    else:
        assert isinstance(source, sources.Torchvision)
        assert source.torchvision == kind
        _, wanted = sources._torchvision(kind)
    assert list(wanted) == list(SHAPES)
    assert [file.name for file in wanted.values()] == [file for file, _ in getattr(datasets, kind).resources]
    assert [file.shape for file in wanted.values()] == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]


def test_an_oversized_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    with pytest.raises(UserError, match="expected at most 1,000 bytes, found more"):
        sources.fetch("file", [str(tmp_path)], limit=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20


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


def test_digits_are_a_set_like_the_others_and_need_no_network(
    digits: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise AssertionError("an address was asked")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    loaded = sources.load("digits", "http://127.0.0.1:1", tmp_path / "kept")
    for name, tensor in vars(digits).items():
        if tensor is None:
            continue
        assert torch.equal(getattr(loaded, name), tensor)
    assert not (tmp_path / "kept").exists()


def test_a_set_with_addresses_and_without_labels_has_none(mirror: Path) -> None:
    source = tiny(mirror)
    for part in ("train_labels", "test_labels"):
        del source["files"][part]
        (mirror / NAMES[part]).unlink()
    write_source(source)
    images = sources.load("tiny", str(mirror))
    assert images.train.flatten().tolist() == list(range(6 * 4 * 5))
    assert images.test.shape == (2, 1, 4, 5)
    assert images.train_labels is images.test_labels is None


def fault(name: str = "tiny") -> str:
    """The one line that refuses the set before anything is fetched."""
    with pytest.raises(UserError) as caught:
        sources.load(name)
    assert not isinstance(caught.value, sources.NoMirrorError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "hint"), [("tini", " (did you mean 'tiny'?)"), ("zzz", "")])
@pytest.mark.usefixtures("mirror")
def test_an_unknown_set_is_one_line_with_the_known_ones_and_the_nearest(name: str, hint: str) -> None:
    write_source("scikit_learn: digits", "digits")
    expected = f"params.yaml: data.name: expected a folder of data/sets (digits, tiny), found {name!r}{hint}"
    assert fault(name) == expected


def edited(change: Callable[[Source], object]) -> Callable[[Source], Source]:
    """`change` as a function that returns the source it changes."""

    def edit(source: Source) -> Source:
        change(source)
        return source

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda _: "torchvision: MNIST\nx: 1", "unknown key 'x' (known keys: torchvision)"),
        (lambda _: "torchvision: CIFAR10", "expected 'MNIST', 'FashionMNIST' or 'KMNIST', found 'CIFAR10'"),
        (lambda _: "torchvision: QMNIST", "found 'QMNIST'"),  # its files have other names and another format
        (lambda _: "scikit_learn: iris", "scikit_learn: expected 'digits', found 'iris'"),
        (lambda _: "", "expected keys and values, found None"),
        (lambda _: "files: [", "not readable as YAML"),
        (lambda source: source | {"adresses": []}, "unknown key 'adresses' (did you mean 'addresses'?)"),
        (lambda source: source | {"addresses": []}, "addresses: expected at least 1 item, found []"),
        (lambda source: source | {"files": 3}, "files: expected keys and values, found 3"),
        (lambda source: source | {"files": {}}, "key 'files.train_images' is missing; key 'files.test_images' is mis"),
        (edited(lambda source: source.pop("addresses")), "key 'addresses' is missing"),
        (edited(lambda source: source["files"].pop("test_images")), "key 'files.test_images' is missing"),
        (
            edited(lambda source: source["files"].update(tst_labels=source["files"].pop("test_labels"))),
            "unknown key 'files.tst_labels' (did you mean 'test_labels'?)",
        ),
        (
            edited(lambda source: source["files"]["test_labels"].update(sha25=1)),
            "unknown key 'files.test_labels.sha25' (did you mean 'sha256'?)",
        ),
        (
            edited(lambda source: source["files"]["train_images"].update(sha256="0123")),
            "files.train_images.sha256: expected text that matches '^[0-9a-f]{64}$', found '0123'",
        ),
        (
            edited(lambda source: source["files"]["train_images"].update(sha256="0" * 63 + "G")),
            "files.train_images.sha256: expected text that matches '^[0-9a-f]{64}$', found ",
        ),
        (
            edited(lambda source: source["files"]["train_images"].update(name="../train")),
            "files.train_images.name: expected text that matches",
        ),
        (
            edited(lambda source: source["files"]["train_images"].update(shape=[6, 20])),
            "files.train_images.shape: expected at least 3 items, found [6, 20]",
        ),
        (
            edited(lambda source: source["files"]["train_labels"].update(shape=[6, 1])),
            "files.train_labels.shape: expected at most 1 item, found [6, 1]",
        ),
        (
            edited(lambda source: source["files"]["train_images"].update(shape=[6, 4, 0])),
            "files.train_images.shape.2: expected greater than or equal to 1, found 0",
        ),
        (
            edited(lambda source: source["files"]["train_images"].update(bytes="many")),
            "files.train_images.bytes: expected a valid integer, found 'many'",
        ),
    ],
)  # fmt: skip
def test_a_wrong_source_is_one_line_that_names_file_and_key(
    mirror: Path, edit: Callable[[Source], Source | str], message: str
) -> None:
    path = write_source(edit(tiny(mirror)))
    found = fault()
    assert found.startswith(f"{path}: ")
    assert message in found


@pytest.mark.usefixtures("mirror")
def test_a_set_without_a_source_is_one_line() -> None:
    (paths.SETS / "tiny" / "source.yaml").unlink()
    assert fault().startswith("data/sets/tiny/source.yaml: not found in ")


def test_a_file_of_another_shape_than_the_source_says_is_one_line(mirror: Path) -> None:
    source = tiny(mirror)
    source["files"]["train_images"]["shape"] = [6, 5, 4]
    write_source(source)
    with pytest.raises(UserError, match=r"train-images.*: expected the IDX header .* \(uint8, 6 × 5 × 4\), found "):
        sources.load("tiny", str(mirror))
