"""Pieces of the families in training, on disk and served: every promise that holds for the article's model."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from autoencoder.analysis.evaluation import class_errors, errors, errors_by_image
from autoencoder.analysis.family import judged
from autoencoder.analysis.optimum import fit
from autoencoder.analysis.results import Results
from autoencoder.data.images import Images, hold_out, load_images, save_images
from autoencoder.errors import UserError
from autoencoder.files import read_csv, write_csv
from autoencoder.models.saved import Description, describe, load_model, save_model
from autoencoder.params import Train
from autoencoder.record.curves import points
from autoencoder.tracking import export
from autoencoder.training.loop import Training
from autoencoder.training.objective import objective

NETWORK = {"code_dimensions": 6, "hidden": [20], "channels": [4], "activation": "tanh"}
CHOICES = [
    ("mlp", "none", "variational", "bce"),
    ("mlp", "gaussian", "none", "mse"),
    ("linear", "salt_and_pepper", "top_k", "bce"),
    ("convolutional", "masking", "contractive", "mse"),
    ("mlp", "none", "l1", "mse"),
    ("convolutional", "none", "variational", "mse"),
]


@pytest.fixture(scope="module")
def images(digits: Images) -> Images:
    """A few hundred digits, some held out."""
    few = Images(digits.train[:300], digits.test[:60], digits.train_labels[:300], digits.test_labels[:60])
    return hold_out(few, 0.2)


@pytest.fixture(params=CHOICES, ids="-".join)
def description(request: pytest.FixtureRequest, images: Images) -> Description:
    model, corruption, constraint, loss = request.param
    asked = {"name": constraint, "strength": 0.1, "active": 2}
    return describe(images, NETWORK | {"name": model}, {"name": corruption, "level": 0.2}, asked, loss)


def training(description: Description, images: Images, optimizer: str = "adam") -> Training:
    settings = Train(
        loss=description.loss, epochs=2, batch_size=32, optimizer=optimizer, learning_rate=0.01, momentum=0.5,
        weight_decay=0.001, log_every=3,
    )  # fmt: skip
    aim = objective(description)
    return Training(description.build(1), images, settings, aim, seed=3, device=torch.device("cpu"))


def outcome(run: Training) -> str:
    weights = b"".join(tensor.numpy().tobytes() for tensor in run.model.state_dict().values())
    return hashlib.sha256(weights + repr((run.history, run.steps)).encode()).hexdigest()


def test_a_training_that_stops_within_an_epoch_goes_on_in_the_same_bits(
    description: Description, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoencoder.training.loop.CHUNK_IMAGES", 64)
    whole, first, second = (training(description, images) for _ in range(3))
    list(whole.run())
    for progress, _ in zip(first.run(), range(6), strict=False):
        assert progress.images_seen
    assert first.batch
    assert first.history
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    list(second.run())
    assert outcome(second) == outcome(whole)


def test_another_seed_draws_other_noise(images: Images) -> None:
    description = describe(images, NETWORK | {"name": "mlp"}, {"name": "gaussian", "level": 0.2})
    aim = objective(description)
    noise = [aim.draw(4, 64, 6, seed, 0)[0] for seed in (1, 2)]
    assert not torch.equal(*noise)


def test_curves_of_a_split_and_of_the_bound_are_recorded_where_there_are_any(
    description: Description, images: Images, tmp_path: Path
) -> None:
    run = training(description, images, "sgd")
    list(run.run())
    write_csv(tmp_path / "training.csv", run.history)
    rows = read_csv(tmp_path / "training.csv")
    columns = ["epoch", "train_mse", "test_mse", "validation_mse"]
    names = ["train/mse", "test/mse", "validation/mse"]
    if description.constraint["name"] == "variational":
        columns += ["train_nats", "test_nats", "validation_nats"]
        names += ["train/nats", "test/nats", "validation/nats"]
    assert list(rows[0]) == columns
    assert [point.name for point in points(rows[:1], [])] == names


def test_a_model_comes_back_from_its_file_and_only_with_what_it_needs(description: Description, tmp_path: Path) -> None:
    model = description.build(1)
    save_model(model, description, tmp_path / "model.safetensors")
    loaded, found = load_model(tmp_path / "model.safetensors")
    assert found == description
    x = torch.rand(3, 64)
    assert torch.equal(loaded(x), model(x))
    unused = {"mlp": "channels", "convolutional": "hidden", "linear": "activation"}[description.model]
    assert unused not in found.options


def test_the_file_of_the_articles_model_is_described_as_it_always_was(images: Images, tmp_path: Path) -> None:
    description = describe(images, NETWORK | {"name": "linear"}, {"name": "none", "level": 1.0})
    path = tmp_path / "model.safetensors"
    save_model(description.build(0), description, path)
    header = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    expected = '{"model": "linear", "code_dimensions": 6, "image_shape": [1, 8, 8]}'
    assert header["__metadata__"]["autoencoder"] == expected


def test_a_long_code_is_refused_only_where_nothing_else_is_asked(images: Images) -> None:
    long = NETWORK | {"name": "linear", "code_dimensions": 64}
    with pytest.raises(UserError, match="without constraint and corruption must compress"):
        describe(images, long)
    assert describe(images, long, constraint={"name": "l1", "strength": 1.0, "active": 1}).code_dimensions == 64
    assert describe(images, long, {"name": "masking", "level": 0.5}).code_dimensions == 64


def test_every_piece_is_judged_by_what_was_asked_of_it(description: Description, images: Images) -> None:
    run = training(description, images)
    list(run.run())
    results = Results(images, run.model.eval(), description, fit(images))
    figures = errors(results, errors_by_image(results, 50))
    assert set(figures) == {"test", "train", "validation"}
    assert figures["test"]["mse"] == pytest.approx(run.history[-1].test_mse, rel=1e-5)
    assert figures["validation"]["mse"] == pytest.approx(run.history[-1].validation_mse, rel=1e-5)
    of_family, tables = judged(results, figures["test"]["mse"])
    expected = {
        "variational": {"nats", "reconstruction_nats", "divergence_nats", "importance_weighted_nats", "active_units"},
        "top_k": {"mean_active", "dead_units", "variance_explained"},
        "l1": {"mean_active", "dead_units", "variance_explained"},
        "contractive": {"squared_jacobian_norm"},
    }.get(description.constraint["name"], set())
    if description.corruption["name"] != "none":
        expected |= {"denoising_mse", "denoising_optimum_mse", "ratio_to_denoising_optimum"}
        assert [row.level for row in tables["noise_levels"]] == [0, 0.125, 0.2, 0.25, 0.375, 0.5]
    assert set(of_family) == expected
    assert len(tables["units"]) == 6
    if "nats" in of_family:
        assert of_family["nats"] == run.history[-1].test_nats
        assert sum(row.divergence_nats for row in tables["units"]) == pytest.approx(of_family["divergence_nats"])


def test_classes_are_told_apart_beside_pca_and_not_without_labels(images: Images) -> None:
    description = Description("linear", 6, (1, 8, 8))
    results = Results(images, description.build(0), description, fit(images))
    found = class_errors(results, 1, iter)
    assert set(found) == {"probe_error", "neighbour_error", "pca_probe_error", "pca_neighbour_error"}
    assert all(0 <= error < 0.7 for error in found.values())
    unlabelled = Results(Images(images.train, images.test), results.model, description, results.optimum)
    assert class_errors(unlabelled, 1, iter) == {}


def test_the_exported_program_serves_reconstruction_and_code_without_noise(
    description: Description, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_images(images)
    model = description.build(1)
    save_model(model, description)
    export.export(tmp_path)
    x = torch.from_numpy(np.load(tmp_path / export.EXAMPLE)).repeat(3, 1)
    assert x.min().item() >= model.lowest
    found = torch.export.load(tmp_path / export.PROGRAM).module()(x)
    with torch.no_grad():
        torch.testing.assert_close(found["code"], model.encode(x))
        torch.testing.assert_close(found["reconstruction"], model(x))


def held_out(images: Images) -> set[bytes]:
    assert images.validation is not None
    return {image.numpy().tobytes() for image in images.validation}


def test_images_are_held_out_by_their_content(digits: Images, tmp_path: Path) -> None:
    split = hold_out(digits, 0.2)
    assert len(split.train) + len(split.validation) == len(digits.train)
    assert len(split.validation) / len(digits.train) == pytest.approx(0.2, abs=0.04)
    assert len(split.validation_labels) == len(split.validation)
    fewer = hold_out(Images(digits.train[::2], digits.test), 0.2)
    assert held_out(fewer) == held_out(split) & {image.numpy().tobytes() for image in digits.train[::2]}
    assert held_out(split) <= held_out(hold_out(digits, 0.3))
    save_images(split, tmp_path / "images.safetensors")
    again = load_images(tmp_path / "images.safetensors")
    for name, tensor in vars(split).items():
        assert torch.equal(tensor, getattr(again, name))


def test_nothing_is_held_out_by_default_and_never_all(digits: Images) -> None:
    assert hold_out(digits, 0.0) is digits
    with pytest.raises(UserError, match=r"data.validation: expected a fraction that leaves images on both sides"):
        hold_out(Images(digits.train[:3], digits.test), 0.0001)


def test_the_optimum_of_a_split_is_that_of_its_images(digits: Images) -> None:
    split = hold_out(digits, 0.2)
    optimum, renamed = fit(split), fit(Images(split.train, split.validation))
    assert torch.equal(optimum.by_rank("validation", centred=True), renamed.centred_test_mse)
    assert torch.equal(optimum.by_rank("validation", centred=False), renamed.test_mse)


def test_what_training_holds_out_it_does_not_see(digits: Images) -> None:
    split = hold_out(Images(digits.train[:300], digits.test), 0.2)
    description = Description("linear", 6, (1, 8, 8))
    alone = Images(split.train, split.test)
    runs = [training(description, images) for images in (split, alone)]
    for run in runs:
        list(run.run())
    weights = [list(run.model.state_dict().values()) for run in runs]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
