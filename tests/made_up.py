"""Runs that nobody trained, for tests of the page: small random numbers, a model, and what evaluation would find."""

from typing import Any

import numpy as np

from autoencoder.report.run import DEFAULTS, Run


def made_up(*, side: int = 8, wide: int = 0, code: int = 4, n: int = 50, channels: int = 1, labels: bool = True) -> Run:
    """A run of small random numbers: bright strokes on dark ground, and weights that were never trained."""
    random = np.random.default_rng(0)
    wide = wide or side
    pixels = channels * side * wide
    test = np.zeros((n, channels, side, wide), np.uint8)
    test[:, :, 1:-1, wide // 2] = random.integers(100, 256, (n, channels, side - 2))
    axes = np.linalg.qr(random.standard_normal((pixels, min(pixels, 64))))[0]
    optimum = np.linspace(1, 1e-3, pixels + 1)
    split = {"mse": 0.7, "optimum_mse": float(optimum[code]), "equivalent_rank": 1.5}
    split["ratio_to_optimum"] = 0.7 / float(optimum[code])
    return Run(
        recipe={"seed": 1, "data": {"name": "birds"}, "train": {"batch_size": 3, "optimizer": "sgd"}},
        description=DEFAULTS | {"model": "linear", "code_dimensions": code, "image_shape": [channels, side, wide]},
        weights={
            "encoder.linear.weight": random.standard_normal((code, pixels)).astype(np.float32),
            "decoder.linear.weight": random.standard_normal((pixels, code)).astype(np.float32) / pixels,
        },
        sha256="0" * 64,
        train_images=1234,
        test=test,
        labels=random.integers(0, 3, n).astype(np.uint8) if labels else None,
        axes=axes,
        optimum=optimum,
        evaluation={
            "test": split,
            "train": split,
            "pca": {
                "code_dimensions": code,
                "compression": pixels / code,
                "directions_captured": code / 2,
                "largest_angle_degrees": 80.0,
            },
        },
        history=[{"epoch": float(n), "train_mse": 1 / n, "test_mse": 2 / n} for n in (1, 2, 3)],
        tables={
            "principal_angles": [{"direction": n + 1.0, "degrees": 60.0, "cosine_squared": 0.25} for n in range(code)]
        },
    )


UNITS = [{"unit": n + 1.0, "active": n / 4, "divergence_nats": 1.0 - n / 4} for n in range(4)]
SINGULAR = [{"direction": n + 1.0, "singular_value": 1 / (n + 1)} for n in range(4)]
NATS = {"nats": 30.5, "divergence_nats": 10.25, "reconstruction_nats": 20.25, "importance_weighted_nats": 29.0}
SPARSE = {"mean_active": 2.0, "dead_units": 1.0, "variance_explained": 0.42}
FOUND: dict[str, tuple[dict[str, Any], dict[str, float]]] = {  # by constraint: tables of its family, and test metrics
    "l1": ({"units": UNITS}, SPARSE),
    "top_k": ({"units": UNITS}, SPARSE),
    "contractive": ({"singular_values": SINGULAR}, {"squared_jacobian_norm": 1.5}),
    "variational": ({"units": UNITS}, NATS | {"active_units": 3.0}),
}


def with_constraint(name: str) -> Run:
    run, (tables, test) = made_up(), FOUND[name]
    active = {"active": 2} if name == "top_k" else {}
    description = run.description | {"constraint": {"name": name, "strength": 1.0} | active}
    weights = dict(run.weights)
    if name == "variational":
        weights["encoder.linear.weight"] = np.repeat(weights["encoder.linear.weight"], 2, 0)
    evaluation = {"test": run.evaluation["test"] | test}
    return run._replace(description=description, weights=weights, evaluation=evaluation, tables=tables)


def denoising(corruption: str, *, optimum: bool = True) -> Run:
    """A run that learned from damaged images, whose optimum may be known."""
    run = made_up()
    rows = [{"level": level, "mse": 0.2 + level} | ({"optimum_mse": level} if optimum else {}) for level in (0.0, 0.5)]
    known = {"denoising_optimum_mse": 0.5, "ratio_to_denoising_optimum": 1.4} if optimum else {}
    test = run.evaluation["test"] | {"denoising_mse": 0.7} | known
    return run._replace(
        description=run.description | {"corruption": {"name": corruption, "level": 0.5}},
        tables=run.tables | {"noise_levels": rows},
        evaluation=run.evaluation | {"test": test},
    )
