"""How well the squared error finds a class of MNIST that was left out of training: AUROC by class, beside PCA's."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from speed import IMAGES

from autoencoder import params
from autoencoder.analysis.optimum import moments
from autoencoder.data.images import Images, load_images, scale
from autoencoder.models.saved import describe
from autoencoder.training.loop import Training
from autoencoder.training.objective import objective, squared_errors

RANK = 32
MODELS = ("linear", "convolutional")
MODEL = {"code_dimensions": RANK, "channels": [16, 32], "activation": "relu"}
SETTINGS = params.Train(
    loss="mse",
    epochs=5,
    batch_size=128,
    optimizer="adam",
    learning_rate=1e-3,
    momentum=0.0,
    weight_decay=0.0,
    log_every=1000,
)


def measure() -> dict[str, Any]:
    """AUROC by method and class."""
    images = load_images(IMAGES)
    found: dict[str, Any] = {"rank": RANK, "pca": [], "brightness": [], **{name: [] for name in MODELS}}
    for unknown in range(10):
        is_unknown = (images.test_labels == unknown).numpy()
        known = replace(images, train=images.train[images.train_labels != unknown], train_labels=None)
        scores = {"pca": pca(known), "brightness": images.test.flatten(1).double().mean(1).numpy()}
        scores |= {name: trained(known, name) for name in MODELS}
        for name, errors in scores.items():
            found[name].append(float(roc_auc_score(is_unknown, errors)))
    return found


def pca(images: Images) -> np.ndarray:
    """The error of each test image under the principal axes of the training images (uncentred)."""
    _, moment = moments(images.train)
    axes = torch.linalg.eigh(moment).eigenvectors[:, -RANK:]
    x = scale(images.test).double()
    return (x - x @ axes @ axes.T).square().mean(1).numpy()


def trained(images: Images, name: str) -> np.ndarray:
    """The error of each test image under a model of the training images."""
    description = describe(images, MODEL | {"name": name})
    model, asked = description.build(42), objective(description)
    training = Training(model, images, SETTINGS, asked, seed=42, device=torch.device("cpu"))
    for _ in training.run():
        pass
    return squared_errors(model, images.test, 1000).numpy()


def table(found: dict[str, Any]) -> str:
    """A line per method, a column per class that was left out."""
    names = ("brightness", "pca", *MODELS)
    lines = ["AUROC, digit left out" + "".join(f"{digit:>7}" for digit in range(10)) + "   mean"]
    lines += [f"{name:<21}" + "".join(f"{a:7.3f}" for a in (*found[name], np.mean(found[name]))) for name in names]
    return "\n".join(lines)
