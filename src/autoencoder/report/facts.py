"""What the page says of a run: `context` for its text and figures, `payload` for its script."""

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from markupsafe import Markup
from numpy import ndarray

from autoencoder import article
from autoencoder.report import charts, findings, network, pictures, source
from autoencoder.report.run import Run

SCRIPT = Path(__file__).parent / "page.js"
MODEL = Path(__file__).parent / "../models/linear.py"

EXAMPLES = 10  # pictures that are there without JavaScript
STRIP = 8  # numbers of the code whose pictures are there without JavaScript
RANKS = 48  # principal axes that travel with the page
BINS = 40
THINGS = {"mnist": "digit", "digits": "digit", "kmnist": "character", "fashion_mnist": "garment"}


def _tensor(array: np.ndarray[Any, Any], kind: str) -> dict[str, Any]:
    content = np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<")).tobytes()
    return {"type": kind, "shape": list(array.shape), "base64": base64.b64encode(content).decode()}


def _short(values: Any, digits: int = 6) -> list[float]:
    """Numbers without the digits that nobody sees."""
    return [float(f"{value:.{digits}g}") for value in values]


def _lengths(run: Run) -> list[dict[str, Any]]:
    """The least error of some code lengths, among them the run's."""
    code = run.code_dimensions
    lengths = {2**power for power in range(1, 9)} | {code}
    return [{"code": k, "optimum": float(run.optimum[k])} for k in sorted(lengths) if k < len(run.optimum) - 1]


def _pixels(x: Float64[ndarray, " input"], shape: tuple[int, int, int]) -> UInt8[ndarray, "channels height width"]:
    return np.rint(np.clip((x + 1) / 2, 0, 1) * 255).astype(np.uint8).reshape(shape)


def _strip(columns: Float64[ndarray, "input columns"], width: int) -> str:
    tiles = columns.T.reshape(columns.shape[1], -1, width)
    tiles = tiles / np.abs(tiles).max((1, 2), keepdims=True)
    padded = np.pad(tiles, ((0, STRIP - len(tiles)), (0, 0), (0, 1)))  # a gap after each
    strip = np.concatenate(list(padded), 1)
    return pictures.signed(strip[:, :-1], 1.0)


class Facts:
    """What is computed once of a run: for the template as `context`, for the script as `payload`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.encoder, self.decoder = network.layers(run.model, run.weights)
        x = findings.scale(run.test)
        codes = network.apply(self.encoder, x)
        self.errors = findings.errors(x, rebuilt := network.apply(self.decoder, codes))
        self.shown = findings.spread(len(x), findings.SHOWN)
        mapped = findings.spread(len(x), findings.MAPPED)
        self.rebuilt = rebuilt[self.shown]
        self.codes = codes[mapped]
        self.linear = run.model == "linear"
        self.principal = self._principal_order(x[mapped]) if self.linear else None
        self.map = findings.map_of(self.codes) if run.code_dimensions > 1 else None
        self.map_labels = None if run.labels is None else run.labels[mapped]
        channels, *size = run.image_shape
        self.strokes = findings.strokes(run.test[mapped].reshape(-1, *size)) if channels == 1 else None
        self.sliders = min(run.code_dimensions, findings.SLIDERS)
        self.ranks = min(RANKS, run.test.shape[1])
        self.drawn_ranks = min(max(RANKS, 2 * run.code_dimensions), run.test.shape[1])
        self.equal_rank = findings.equal_rank(run.optimum, run.evaluation["test"]["mse"])
        found = {
            "data.name": run.recipe["data"]["name"],
            "model.name": run.model,
            "model.code_dimensions": run.code_dimensions,
        }
        as_printed = all(article.PARAMS[name] == value for name, value in found.items())
        self.published = [loss * article.DIVISOR for loss in article.TEST_LOSSES] if as_printed else []

    def _principal_order(self, x: Float64[ndarray, "n input"]) -> findings.Principal:
        encoder, decoder = (layers[0]["weight"].astype(np.float64) for layers in (self.encoder, self.decoder))
        return findings.principal_order(encoder, decoder, x, findings.SLIDERS)

    def payload(self, precision: str) -> dict[str, Any]:
        """All that the script computes with; weights and axes have `precision`."""
        run = self.run
        channels, height, width = run.image_shape
        return {
            "image": {"channels": channels, "height": height, "width": width},
            "range": [-1, 1],
            "encoder": [layer | {"weight": _tensor(layer["weight"], precision)} for layer in self.encoder],
            "decoder": [layer | {"weight": _tensor(layer["weight"], precision)} for layer in self.decoder],
            "test": {
                "images": _tensor(run.test[self.shown], "uint8"),
                "number": self.shown.tolist(),
                "label": None if run.labels is None else run.labels[self.shown].tolist(),
            },
            "percentiles": _short(findings.percentiles(self.errors)),
            "limits": _short(np.abs(self.codes).max(0), 2),
            "sliders": self.sliders,
            "principal": self._principal(precision),
            "pca": {
                "axes": _tensor(run.axes[:, : self.ranks].T, "float16"),
                "mse": _short(run.optimum[: self.ranks + 1]),
            },
            "map": self._map(),
            "strokes": self.strokes,
            "history": [_short(row[name] for name in ("epoch", "train_mse", "test_mse")) for row in run.history],
            "published": _short(self.published),
            "frames": {name: frame.data() for name, (_, frame) in self.framed().items()},
        }

    def _principal(self, precision: str) -> dict[str, Any] | None:
        if not self.principal:
            return None
        limits = np.abs(self.codes @ self.principal.to.T).max(0)
        return {
            "to": _tensor(self.principal.to, precision),
            "back": _tensor(self.principal.back, precision),
            "limits": _short(limits, 2),
        }

    def _map(self) -> dict[str, Any] | None:
        if not self.map:
            return None
        return {
            "points": _tensor(self.map.points, "float16"),
            "centre": _short(self.map.centre),
            "axes": _tensor(self.map.axes, "float32"),
            "label": None if self.map_labels is None else self.map_labels.tolist(),
        }

    def framed(self) -> dict[str, tuple[Markup, charts.Frame]]:
        """The charts on which the script marks something."""
        run, mse = self.run, self.run.evaluation["test"]["mse"]
        low, high = 0.0, float(self.errors.max())
        counts = np.histogram(self.errors, BINS, (low, high))[0].tolist()
        optimum = run.evaluation["test"]["optimum_mse"]
        first, last = run.history[0]["test_mse"], run.history[-1]["test_mse"]
        framed = {
            "histogram": charts.histogram(
                counts, low, high, f"Test images by error: from {self.errors.min():.3f} to {high:.3f}"
            ),
            "learning": charts.learning(
                run.history,
                optimum,
                self.published,
                f"The test error falls from {first:.4f} after the first epoch to {last:.4f} after the last; "
                f"the optimum is {optimum:.4f}",
            ),
            "rank": charts.by_rank(
                run.optimum[: self.drawn_ranks + 1].tolist(),
                run.code_dimensions,
                mse,
                self.equal_rank,
                f"Error of PCA by rank: that of this run is the error of rank {self.equal_rank:.1f}",
            ),
        }
        if self.map:
            framed["map"] = self._scatter(self.map)
        return framed

    def _scatter(self, mapped: findings.Map) -> tuple[Markup, charts.Frame]:
        labels = np.zeros(0, np.uint8) if self.map_labels is None else self.map_labels
        classes = np.unique(labels).tolist()
        middles = [np.median(mapped.points[labels == name], axis=0).tolist() for name in classes]
        words = f"The codes of {len(mapped.points):,} test images as points on the two leading axes"
        return charts.scatter(mapped.points.tolist(), middles, [str(name) for name in classes], words)

    def context(self) -> dict[str, Any]:
        """All that the template prints."""
        run = self.run
        channels, height, width = run.image_shape
        test = run.evaluation["test"]
        met = sum(
            round(row["test_mse"] / article.DIVISOR, article.DECIMALS) == loss
            for row, loss in zip(run.history, article.TEST_LOSSES if self.published else (), strict=False)
        )
        return {
            "name": run.recipe["data"]["name"],
            "thing": THINGS.get(run.recipe["data"]["name"], "picture"),
            "model": run.model,
            "linear": self.linear,
            "size": f"{height} × {width}" + (" in colour" if channels > 1 else ""),
            "pixels": run.test.shape[1],
            "code": run.code_dimensions,
            "train_images": run.train_images,
            "test_images": len(run.test),
            "test": test,
            "train": run.evaluation["train"],
            "pca": run.evaluation["pca"],
            "off": math.sqrt(test["mse"]) / 2,
            "equal_rank": self.equal_rank,
            "examples": self._examples(),
            "strips": self._strips(),
            "history": run.history,
            "published": self.published,
            "met": met,
            "charts": {name: drawing for name, (drawing, _) in self.framed().items()},
            "angles": charts.angles(
                [row["cosine_squared"] for row in run.angles],
                f"{run.evaluation['pca']['directions_captured']:.1f} of {len(run.angles)} directions are captured",
            ),
            "strokes": self.strokes,
            "map": self.map,
            "mapped": len(self.codes),
            "shown": len(self.shown),
            "classes": None if run.labels is None else sorted(set(run.labels[self.shown].tolist())),
            "sliders": self.sliders,
            "ranks": self.ranks,
            "recipe": run.recipe,
            "lengths": _lengths(run),
            "strip_width": STRIP * (width + 1) - 1,
            "strip_height": height * channels,
            "sha256": run.sha256,
            "python_source": source.python(MODEL.read_text(encoding="utf-8"), "Encoder", "Decoder"),
            "script_source": source.script(SCRIPT.read_text(encoding="utf-8"), "linear", "encode", "decode"),
        }

    def _examples(self) -> list[dict[str, Any]]:
        """Some of the shown test images, one of each class where there are classes, with what came back."""
        run = self.run
        places = list(range(len(self.shown)))
        if run.labels is not None:
            labels = run.labels[self.shown].tolist()
            places = sorted({labels.index(label) for label in labels}, key=lambda place: labels[place])
        return [
            {
                "place": place,
                "number": int(self.shown[place]),
                "label": None if run.labels is None else int(run.labels[self.shown[place]]),
                "image": pictures.image(run.test[self.shown[place]].reshape(run.image_shape)),
                "rebuilt": pictures.image(_pixels(self.rebuilt[place], run.image_shape)),
                "error": float(self.errors[self.shown[place]]),
            }
            for place in places[:EXAMPLES]
        ]

    def _strips(self) -> dict[str, str]:
        """What the first numbers of the code add to the picture, side by side: as learned, and in principal order."""
        if not (self.linear and self.principal):
            return {}
        decoder = self.decoder[0]["weight"].astype(np.float64)
        width = self.run.image_shape[-1]
        learned, ordered = decoder[:, :STRIP], (decoder @ self.principal.back)[:, :STRIP]
        return {"learned": _strip(learned, width), "ordered": _strip(ordered, width)}
