"""What the page says of a run: values for its template, of which some are data for its script."""

from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from autoencoder import article
from autoencoder.report import charts, network, pictures
from autoencoder.report.findings import Findings, Matrix, findings, map_of, principal_order, spread, strokes, tangents
from autoencoder.report.run import Run

SHOWN = 100  # test images that travel with the page
SLIDERS = 32  # numbers of the code that have a slider
EXAMPLES, STRIP, ATOMS, PRIOR, TANGENTS = 10, 8, 16, 16, 6  # pictures that are there without JavaScript
RANKS = 48  # principal axes that travel with the page
THINGS = {"mnist": "digit", "digits": "digit", "kmnist": "character", "fashion_mnist": "garment"}
PRINTED = ("data.name", "model.name", "model.code_dimensions", "constraint.name", "corruption.name", "train.loss")
USE = ("units", "active", "number of the code, by use", "share of the test pictures in which it is active")
FAMILY = {  # the table and the column that the constraint's chart shows, and the names of its axes
    "l1": USE,
    "top_k": USE,
    "variational": ("units", "divergence_nats", "number of the code, by what it carries", "nats per picture"),
    "contractive": (
        "singular_values",
        "singular_value",
        "direction",
        "length of the code’s change, for one of length 1",
    ),
}
SENT = (
    *("image", "range", "encoder", "decoder", "shown", "percentiles", "limits", "sliders", "principal", "pca", "map"),
    *("strokes", "history", "published", "corruption", "frames"),
)

Facts = dict[str, Any]


def facts(run: Run) -> tuple[Facts, Facts]:
    """What the template prints, and what of it the script computes with: plain values and arrays."""
    seen = findings(run)
    told = run._asdict() | _of_run(run) | _of_model(run, seen)
    drawn = _charts(run, seen, told["published"])
    if told["linear"]:
        told |= _principal(seen)
    if told["code"] > 1 and np.ptp(seen.codes, 0).any():
        points, centre, axes, told["share"] = map_of(seen.codes)
        labels = None if seen.labels is None else seen.labels.tolist()
        told["map"] = {"points": points.astype(np.float16), "centre": centre, "axes": axes, "label": labels}
        drawn["map"] = charts.scatter(points, seen.labels)
    told["charts"] = {name: drawing for name, (drawing, _) in drawn.items()}
    told["frames"] = {name: frame for name, (_, frame) in drawn.items()}
    return told, {name: told.get(name) for name in SENT}


def _of_run(run: Run) -> Facts:
    """What follows from the run's files alone."""
    (channels, height, width), code = run.description["image_shape"], run.description["code_dimensions"]
    constraint = run.description.get("constraint", {"name": "none"})
    least = constraint["active"] if constraint["name"] == "top_k" else 0
    lengths = sorted({2**power for power in range(1, 9) if 2**power > least} | {code})
    losses = [round(row["test_mse"] / article.DIVISOR, article.DECIMALS) for row in run.history]
    sections = {name: name.partition(".") for name in PRINTED}
    same = all(run.recipe.get(a, {}).get(b) == article.PARAMS[name] for name, (a, _, b) in sections.items())
    return {
        "name": run.recipe["data"]["name"],
        "thing": THINGS.get(run.recipe["data"]["name"], "picture"),
        "linear": "pca" in run.evaluation,
        "image": {"channels": channels, "height": height, "width": width},
        "pixels": channels * height * width,
        "code": code,
        "constraint": constraint,
        "corruption": run.description.get("corruption", {"name": "none"}),
        "bce": run.description.get("loss") == "bce",
        "test": run.evaluation["test"],
        "test_images": len(run.test),
        "published": [loss * article.DIVISOR for loss in article.TEST_LOSSES] if same else [],
        "met": sum(loss == printed for loss, printed in zip(losses, article.TEST_LOSSES, strict=False)),
        "lengths": [{"code": k, "optimum": float(run.optimum[k])} for k in lengths if k < len(run.optimum) - 1],
        "ranks": min(RANKS, run.axes.shape[1]),
        "pca": {"axes": run.axes[:, :RANKS].T.astype(np.float16), "mse": run.optimum[: RANKS + 1]},
    }


def _of_model(run: Run, seen: Findings) -> Facts:
    """What the model makes of test images."""
    chosen = spread(len(seen.x), SHOWN)
    labels = None if seen.labels is None else seen.labels[chosen].tolist()
    return {
        "range": [seen.low, 1],
        "encoder": seen.encoder,
        "decoder": seen.decoder,
        "sampled": len(seen.x),
        "shown": {"images": seen.images[chosen], "number": seen.sample[chosen].tolist(), "label": labels},
        "classes": labels and sorted(set(labels)),
        "examples": _examples(seen, chosen),
        "percentiles": np.sort(seen.errors)[np.arange(101) * (len(seen.errors) - 1) // 100],
        "limits": _limits(seen.codes),
        "sliders": min(seen.codes.shape[1], SLIDERS),
        "strokes": strokes(seen.images[:, 0]) if seen.images.shape[1] == 1 else None,
        "of_family": _of_family(run.description.get("constraint", {}).get("name"), seen),
    }


def _limits(codes: Matrix) -> list[float]:
    """How far each number of the code goes, in either direction; 1 if it never moves."""
    return [float(f"{largest:.2g}") or 1.0 for largest in np.abs(codes).max(0)]


def _examples(seen: Findings, chosen: Int64[ndarray, " shown"]) -> list[Facts]:
    """Some of the chosen test images, one of each class where there are classes, with what came back."""
    classes = chosen if seen.labels is None else seen.labels[chosen]
    places = chosen[np.unique(classes, return_index=True)[1]][:EXAMPLES]
    return [
        {
            "number": seen.sample[place],
            "label": None if seen.labels is None else seen.labels[place],
            "image": pictures.image(seen.images[place]),
            "rebuilt": rebuilt,
            "error": seen.errors[place],
        }
        for place, rebuilt in zip(places, _shades(seen.rebuilt[places], seen), strict=True)
    ]


def _shades(rows: Matrix, seen: Findings) -> list[str]:
    """Pictures of what the decoder makes."""
    tiles = ((rows - seen.low) / (1 - seen.low)).reshape(-1, *seen.images.shape[1:])
    return [pictures.shades(tile) for tile in tiles]


def _signed(rows: Matrix, seen: Findings) -> list[str]:
    """Pictures of what is added to a picture."""
    return [pictures.signed(tile) for tile in rows.reshape(-1, *seen.images.shape[1:])]


def _principal(seen: Findings) -> Facts:
    """A linear model's principal order, and what the first numbers of the code add: as learned, and in that order."""
    decoder = seen.decoder[0]["weight"]
    to, back = principal_order(seen.encoder[0]["weight"], decoder, seen.x, SLIDERS)
    strips = {
        name: _signed(added[:, :STRIP].T, seen) for name, added in (("learned", decoder), ("ordered", decoder @ back))
    }
    return {"strips": strips, "principal": {"to": to, "back": back, "limits": _limits(seen.codes @ to.T)}}


def _of_family(constraint: str | None, seen: Findings) -> Any:
    """The pictures that only a run with this constraint has."""
    width = seen.codes.shape[1]
    if constraint == "variational":  # samples from the prior
        return _shades(network.apply(seen.decoder, np.random.default_rng(0).standard_normal((PRIOR, width))), seen)
    if constraint in ("l1", "top_k"):  # what the most used numbers add at their mean
        uses = np.count_nonzero(seen.codes, 0)
        often = np.argsort(-uses, kind="stable")[: min(ATOMS, np.count_nonzero(uses))]
        means = np.ones(len(seen.codes)) @ seen.codes / np.maximum(uses, 1)
        alone, nothing = np.diag(means)[often], np.zeros((1, width))
        return _signed(network.apply(seen.decoder, alone) - network.apply(seen.decoder, nothing), seen)
    if constraint == "contractive":  # images, and their tangents
        places = spread(len(seen.x), 3)
        found = [_signed(tangents(seen.encoder, seen.x[[place]], TANGENTS), seen) for place in places]
        return [[pictures.image(seen.images[place]), *rows] for place, rows in zip(places, found, strict=True)]
    return None


def _charts(run: Run, seen: Findings, published: list[float]) -> dict[str, charts.Chart]:
    """The charts by name, but for the map."""
    test, tables = run.evaluation["test"], run.tables
    optimum, code = run.optimum.tolist(), run.description["code_dimensions"]
    drawn = {
        "histogram": charts.histogram(seen.errors),
        "learning": charts.learning(run.history, test.get("optimum_mse"), published),
        "rank": charts.by_rank(optimum, min(code, len(optimum) - 1), test["mse"], test["equivalent_rank"], RANKS),
    }
    if "principal_angles" in tables:
        shares = [row["cosine_squared"] for row in tables["principal_angles"]]
        words = f"{sum(shares):.1f} of {len(shares)} directions are captured"
        drawn["angles"] = charts.bars("angles", words, "direction", "captured share, cos² of the angle", shares)
    if "noise_levels" in tables:
        drawn["levels"] = charts.levels(tables["noise_levels"], run.description["corruption"]["level"])
    if (constraint := run.description.get("constraint", {}).get("name")) in FAMILY:
        table, column, across, up = FAMILY[constraint]
        values = sorted((row[column] for row in tables[table]), reverse=True)
        drawn["family"] = charts.bars("family", f"From {values[0]:.3g} to {values[-1]:.3g}", across, up, values)
    return drawn
