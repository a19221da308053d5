"""What the page says of a run: values for its template, and data for its script."""

from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from autoencoder import article
from autoencoder.report import charts, findings, network, pictures
from autoencoder.report.run import Run

SHOWN = 100  # test images that travel with the page
MAPPED = 1_000  # test images whose codes are points of the map
SLIDERS = 32  # numbers of the code that have a slider
EXAMPLES = 10  # pictures that are there without JavaScript
STRIP = 8  # numbers of the code whose pictures are there without JavaScript
RANKS = 48  # principal axes that travel with the page
THINGS = {"mnist": "digit", "digits": "digit", "kmnist": "character", "fashion_mnist": "garment"}
PRINTED = ("data.name", "model.name", "model.code_dimensions", "constraint.name", "corruption.name", "train.loss")

Matrix = Float64[ndarray, "rows columns"]
Facts = dict[str, Any]


def facts(run: Run) -> tuple[Facts, Facts]:
    """What the template prints, and what the script computes with: plain values and arrays."""
    low = 0 if run.description.get("loss") == "bce" else -1
    encoder, decoder = network.layers(run.description, run.weights)
    x = run.test.astype(np.float64) * ((1 - low) / 255) + low
    codes = network.apply(encoder, x)
    rebuilt = network.apply(decoder, codes)
    errors = findings.errors(x, rebuilt) * (2 / (1 - low)) ** 2
    shown, mapped = _spread(len(x), SHOWN), _spread(len(x), MAPPED)
    labels = None if run.labels is None else run.labels[shown].tolist()
    codes, count = codes[mapped], min(codes.shape[1], SLIDERS)
    (channels, height, width), published = run.description["image_shape"], _published(run)
    told = _told(run) | {
        "strokes": findings.strokes(run.test[mapped].reshape(-1, height, width)) if channels == 1 else None,
        "published": published,
        "shown": len(shown),
        "mapped": len(mapped),
        "sliders": count,
        "classes": None if labels is None else sorted(set(labels)),
        "examples": _examples(run, shown, labels, np.clip((rebuilt[shown] - low) / (1 - low), 0, 1), errors),
        "angles": charts.angles([row["cosine_squared"] for row in run.angles]) if run.angles else None,
    }
    drawn = {
        "histogram": charts.histogram(errors),
        "learning": charts.learning(run.history, told["test"].get("optimum_mse"), published),
        "rank": charts.by_rank(run.optimum.tolist(), min(told["code"], x.shape[1]), told["test"]["mse"], RANKS),
    }
    sent = {
        "image": {"channels": channels, "height": height, "width": width},
        "range": [low, 1],
        "encoder": encoder,
        "decoder": decoder,
        "test": {"images": run.test[shown], "number": shown.tolist(), "label": labels},
        "percentiles": _short(np.sort(errors)[np.arange(101) * (len(errors) - 1) // 100]),
        "limits": _limits(codes),
        "sliders": count,
        "principal": None,
        "pca": {"axes": run.axes[:, :RANKS].T.astype(np.float16), "mse": _short(run.optimum[: RANKS + 1])},
        "map": None,
        "strokes": told["strokes"],
        "history": [_short(row[name] for name in ("epoch", "train_mse", "test_mse")) for row in run.history],
        "published": _short(published),
    }
    if told["linear"]:
        matrices = (encoder[0]["weight"].astype(np.float64), decoder[0]["weight"].astype(np.float64))
        sent["principal"], told["strips"] = _principal(*matrices, x[mapped], codes, width)
    if codes.shape[1] > 1 and np.ptp(codes, 0).any():
        points, centre, axes, told["share"] = findings.map_of(codes)
        classes = None if run.labels is None else run.labels[mapped]
        drawn["map"] = charts.scatter(points, classes)
        sent["map"] = {"points": points.astype(np.float16), "centre": _short(centre), "axes": axes}
        sent["map"]["label"] = None if classes is None else classes.tolist()
    told["charts"] = {name: drawing for name, (drawing, _) in drawn.items()}
    sent["frames"] = {name: frame.data() for name, (_, frame) in drawn.items()}
    return told, sent


def _told(run: Run) -> Facts:
    """What the template prints of the run's files."""
    name, test = run.recipe["data"]["name"], run.evaluation["test"]
    channels, height, width = run.description["image_shape"]
    code, pixels = run.description["code_dimensions"], run.test.shape[1]
    lengths = sorted({2**power for power in range(1, 9)} | {code})
    losses = [round(row["test_mse"] / article.DIVISOR, article.DECIMALS) for row in run.history]
    return run._asdict() | {
        "name": name,
        "thing": THINGS.get(name, "picture"),
        "linear": "pca" in run.evaluation,
        "size": f"{height} × {width}" + (" in colour" if channels > 1 else ""),
        "pixels": pixels,
        "code": code,
        "test_images": len(run.test),
        "test": test,
        "constraint": run.description.get("constraint", {"name": "none"}),
        "corruption": run.description.get("corruption", {"name": "none"}),
        "bce": run.description.get("loss") == "bce",
        "equal_rank": findings.equal_rank(run.optimum, test["mse"]),
        "met": sum(loss == printed for loss, printed in zip(losses, article.TEST_LOSSES, strict=False)),
        "ranks": min(RANKS, pixels),
        "lengths": [{"code": k, "optimum": float(run.optimum[k])} for k in lengths if k < len(run.optimum) - 1],
        "strip_width": STRIP * (width + 1) - 1,
        "strip_height": height * channels,
    }


def _published(run: Run) -> list[float]:
    """The article's test errors, where the run has its data, model and loss."""
    found = (run.recipe.get(section, {}).get(key) for section, key in (name.split(".") for name in PRINTED))
    same = list(found) == [article.PARAMS.get(name) for name in PRINTED]
    return [loss * article.DIVISOR for loss in article.TEST_LOSSES] if same else []


def _spread(n: int, count: int) -> Int64[ndarray, " chosen"]:
    """At most `count` of n indices, evenly spaced: all classes are met, whether or not the images are sorted."""
    return np.arange(min(n, count)) * n // min(n, count)


def _short(values: Any, digits: int = 6) -> list[float]:
    """Numbers without the digits that nobody sees."""
    return [float(f"{value:.{digits}g}") for value in values]


def _limits(codes: Matrix) -> list[float]:
    """How far each number of the code goes, in either direction; 1 if it never moves."""
    largest = np.abs(codes).max(0)
    return _short(np.where(largest > 0, largest, 1), 2)


def _examples(
    run: Run, shown: Int64[ndarray, " shown"], labels: list[int] | None, rebuilt: Matrix, errors: Float64[ndarray, " n"]
) -> list[Facts]:
    """Some of the shown test images, one of each class where there are classes, with what came back."""
    places = range(len(shown)) if labels is None else [labels.index(label) for label in sorted(set(labels))]
    shape = run.description["image_shape"]
    return [
        {
            "number": int(shown[place]),
            "label": None if labels is None else labels[place],
            "image": pictures.image(run.test[shown[place]].reshape(shape)),
            "rebuilt": pictures.image(np.rint(rebuilt[place] * 255).astype(np.uint8).reshape(shape)),
            "error": float(errors[shown[place]]),
        }
        for place in places[:EXAMPLES]
    ]


def _principal(encoder: Matrix, decoder: Matrix, x: Matrix, codes: Matrix, width: int) -> tuple[Facts, dict[str, str]]:
    """A linear model's principal order, and what the first numbers of the code add: as learned, and in that order."""
    to, back = findings.principal_order(encoder, decoder, x, SLIDERS)
    strips = {"learned": _strip(decoder[:, :STRIP], width), "ordered": _strip((decoder @ back)[:, :STRIP], width)}
    return {"to": to, "back": back, "limits": _limits(codes @ to.T)}, strips


def _strip(columns: Matrix, width: int) -> str:
    """Columns as signed pictures side by side."""
    tiles = columns.T.reshape(columns.shape[1], -1, width)
    tiles = tiles / np.abs(tiles).max((1, 2), keepdims=True)
    padded = np.pad(tiles, ((0, STRIP - len(tiles)), (0, 0), (0, 1)))  # a gap after each
    return pictures.signed(np.hstack(list(padded))[:, :-1])
