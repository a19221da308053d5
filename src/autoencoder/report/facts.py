"""What the page says of a run: values for its template, of which some are data for its script."""

import math
from typing import Any

import numpy as np

from autoencoder import article
from autoencoder.report import network, pictures
from autoencoder.report.charts import Frame
from autoencoder.report.findings import Findings, Matrix, findings, map_of, principal_order, spread, strokes, tangents
from autoencoder.report.run import Run

SHOWN = 100  # test images that travel with the page
SLIDERS = 32  # numbers of the code that have a slider
EXAMPLES, STRIP, ATOMS, PRIOR, TANGENTS = 10, 8, 16, 16, 6  # pictures that are there without JavaScript
RANKS = 48  # principal axes that travel with the page
ROOM = 450_000  # bytes that the shown test images may take, and the axes as many: of large pictures fewer travel
THINGS = {"mnist": "digit", "digits": "digit", "kmnist": "character", "fashion_mnist": "garment"}
PRINTED = ("data name", "model name", "model code_dimensions", "constraint name", "corruption name", "train loss")
SENT = (
    *("image", "range", "encoder", "decoder", "shown", "percentiles", "limits", "sliders", "principal", "pca", "map"),
    *("strokes", "history", "published", "corruption"),
)

Facts = dict[str, Any]


def facts(run: Run) -> tuple[Facts, Facts]:
    """What the template prints, and what of it the script computes with: plain values and arrays."""
    seen = findings(run)
    told = run._asdict() | run.description | _of_run(run) | _of_model(run, seen)
    if told["linear"]:
        told |= _principal(seen)
    if told["code"] > 1 and np.ptp(seen.codes, 0).any():
        told |= _map(seen)
    told["frames"] = _frames(told)
    return told, {name: told.get(name) for name in SENT}


def _of_run(run: Run) -> Facts:
    """What follows from the run's files alone."""
    (channels, height, width), code = run.description["image_shape"], run.description["code_dimensions"]
    constraint = run.description["constraint"]
    least = constraint["active"] if constraint["name"] == "top_k" else 0
    lengths = sorted({2**power for power in range(1, 9) if 2**power > least} | {code})
    losses = [round(row["test_mse"] / article.DIVISOR, article.DECIMALS) for row in run.history]
    same = all(run.recipe.get(a, {}).get(b) == article.PARAMS[f"{a}.{b}"] for a, b in map(str.split, PRINTED))
    optimum, test = run.optimum.tolist(), run.evaluation["test"]
    axes = run.axes[:, : min(RANKS, ROOM // (2 * len(run.axes)))].T
    return {
        "name": run.recipe["data"]["name"],
        "thing": THINGS.get(run.recipe["data"]["name"], "picture"),
        "linear": "pca" in run.evaluation,
        "image": {"channels": channels, "height": height, "width": width},
        "pixels": len(run.axes),
        "code": code,
        "test": test,
        "test_images": len(run.test),
        "weight_count": sum(weight.size for weight in run.weights.values()),
        "published": [loss * article.DIVISOR for loss in article.TEST_LOSSES] if same else [],
        "met": sum(loss == printed for loss, printed in zip(losses, article.TEST_LOSSES, strict=False)),
        "lengths": [{"code": k, "optimum": optimum[k]} for k in lengths if k < len(optimum) - 1],
        "by_rank": optimum[: max(RANKS, 2 * code, math.ceil(test["equivalent_rank"])) + 1],
        "pca": {"axes": axes.astype(np.float16), "mse": run.optimum[: len(axes) + 1]},
    }


def _of_model(run: Run, seen: Findings) -> Facts:
    """What the model makes of test images."""
    shape, chosen = seen.images.shape[1:], spread(len(seen.x), min(SHOWN, ROOM // seen.x.shape[1]))
    labels = chosen if seen.labels is None else seen.labels[chosen]
    few = chosen[np.unique(labels, return_index=True)[1]][:EXAMPLES]  # one of each class, where there are classes
    images, rebuilt = (pictures.shades(rows[few], shape, seen.low) for rows in (seen.x, seen.rebuilt))
    classes = [None] * len(few) if seen.labels is None else seen.labels[few].tolist()
    names = ("number", "label", "image", "rebuilt", "error")
    columns = (seen.sample[few].tolist(), classes, images, rebuilt, seen.errors[few].tolist())
    return {
        "range": [seen.low, 1],
        "encoder": seen.encoder,
        "decoder": seen.decoder,
        "sampled": len(seen.x),
        "shown": {
            "images": seen.images[chosen],
            "number": seen.sample[chosen].tolist(),
            "label": None if seen.labels is None else labels.tolist(),
        },
        "classes": None if seen.labels is None else classes,
        "examples": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)],
        "percentiles": np.sort(seen.errors)[np.arange(101) * (len(seen.errors) - 1) // 100],
        "worst": seen.errors.max(),
        "counts": np.histogram(seen.errors, 40, (0, seen.errors.max()))[0].tolist(),
        "limits": _limits(seen.codes),
        "sliders": min(seen.codes.shape[1], SLIDERS),
        "strokes": strokes(seen.images[:, 0]) if shape[0] == 1 else None,
        "of_family": _of_family(run.description["constraint"]["name"], seen),
    }


def _limits(codes: Matrix) -> list[float]:
    """How far each number of the code goes, in either direction; 1 if it never moves."""
    return [float(f"{largest:.2g}") or 1.0 for largest in np.abs(codes).max(0)]


def _principal(seen: Findings) -> Facts:
    """A linear model's principal order, and what the first numbers of the code add: as learned, and in that order."""
    decoder = seen.decoder[0]["weight"]
    to, back = principal_order(seen.encoder[0]["weight"], decoder, seen.x, SLIDERS)
    added = {"learned": decoder, "ordered": decoder @ back}
    return {
        "strips": {name: pictures.signed(each[:, :STRIP].T, seen.images.shape[1:]) for name, each in added.items()},
        "principal": {"to": to, "back": back, "limits": _limits(seen.codes @ to.T)},
    }


def _map(seen: Findings) -> Facts:
    """The codes on their two leading axes, and the median of each class."""
    points, centre, axes, share = map_of(seen.codes)
    labels = None if seen.labels is None else seen.labels.tolist()
    names = [] if labels is None else sorted(set(labels))
    return {
        "map": {"points": points.astype(np.float16), "centre": centre, "axes": axes, "label": labels},
        "cloud": points.T.tolist(),
        "medians": {name: np.median(points[seen.labels == name], 0).tolist() for name in names},
        "share": share,
    }


def _of_family(constraint: str, seen: Findings) -> Any:
    """The pictures that only a run with this constraint has."""
    shape, width = seen.images.shape[1:], seen.codes.shape[1]
    if constraint == "variational":  # samples from the prior
        drawn = np.random.default_rng(0).standard_normal((PRIOR, width))
        return pictures.shades(network.apply(seen.decoder, drawn), shape, seen.low)
    if constraint in ("l1", "top_k"):  # what the most used numbers add at their mean
        uses = np.count_nonzero(seen.codes, 0)
        often = np.argsort(-uses, kind="stable")[: min(ATOMS, np.count_nonzero(uses))]
        if not len(often):
            return []
        means = np.ones(len(seen.codes)) @ seen.codes / np.maximum(uses, 1)
        alone, nothing = (network.apply(seen.decoder, codes) for codes in (np.diag(means)[often], np.zeros((1, width))))
        return pictures.signed(alone - nothing, shape)
    if constraint == "contractive":  # images, and their tangents
        places = spread(len(seen.x), 3)
        found = [pictures.signed(tangents(seen.encoder, seen.x[[place]], TANGENTS), shape) for place in places]
        shown = pictures.shades(seen.x[places], shape, seen.low)
        return [[image, *rows] for image, rows in zip(shown, found, strict=True)]
    return None


def _frames(told: Facts) -> dict[str, Frame]:
    """The frames of the charts that are on the page, by name."""
    history, by_rank, mse = told["history"], told["by_rank"], told["test"]["mse"]
    frames = {
        "histogram": Frame((0, told["worst"]), (0, max(told["counts"])), height=220),
        "learning": Frame(
            (history[0]["epoch"] - 0.5, history[-1]["epoch"] + 0.5),
            (0, 1.06 * max(row[name] for row in history for name in ("train_mse", "test_mse"))),
        ),
        "rank": Frame((0, len(by_rank) - 0.5), (max(min(by_rank), mse / 50) * 0.8, max(*by_rank, mse) * 1.1), log=True),
    }
    if levels := told["tables"].get("noise_levels"):
        top = max(row[name] for row in levels for name in ("mse", "optimum_mse") if name in row)
        frames["levels"] = Frame((0, levels[-1]["level"]), (0, 1.06 * top))
    if "map" in told:
        wide, high, points = 560, 406, told["cloud"]  # units of the drawing, one scale for both axes
        scale = 1.05 * max(max(map(abs, points[0])) / wide, max(map(abs, points[1])) / high)
        frames["map"] = Frame((-scale * wide, scale * wide), (-scale * high, scale * high), height=500)
    return frames
