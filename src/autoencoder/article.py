"""What the article *Autoencoder Fundamentals* did, and what it printed."""

from typing import Any

# The params of a trained state, by their dotted names. A run is named after what it does differently.
# A param that was added later has here the value that changes nothing, as has one that is gone.
PARAMS: dict[str, Any] = {
    "seed": 42,
    "data.name": "mnist",
    "data.validation": 0.0,
    "data.image_size": None,
    "data.channels": None,
    "data.test_fraction": 0.15,
    "model.name": "linear",
    "model.code_dimensions": 32,
    "model.hidden": [512, 256],
    "model.channels": [16, 32],
    "model.activation": "relu",
    "corruption.name": "none",
    "corruption.level": 0.25,
    "constraint.name": "none",
    "constraint.strength": 1.0,
    "constraint.active": 16,
    "train.loss": "mse",
    "train.epochs": 20,
    "train.batch_size": 32,
    "train.optimizer": "sgd",
    "train.learning_rate": 10**-1.5,
    "train.momentum": 0.5,
    "train.weight_decay": 0.0,
    "train.log_every": 1000,
    "runtime.device": "auto",
    "runtime.numerics": "portable",
    "runtime.threads": 1,
}

# The "average loss" on the test set after each epoch: mse / 100, because the sum of the means of batches of 100 images
# is divided by the number of images.
TEST_LOSSES = (
    *(0.0025, 0.0024, 0.0021, 0.0019, 0.0017, 0.0016, 0.0015, 0.0014, 0.0014, 0.0013),
    *(0.0013, 0.0012, 0.0012, 0.0012, 0.0011, 0.0011, 0.0011, 0.0011, 0.0010, 0.0010),
)
DIVISOR = 100
DECIMALS = 4
