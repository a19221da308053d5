"""The page that explains a run, without a browser: its bytes, its numbers, and what is on it for which run."""

import base64
import hashlib
import io
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from conftest import run as execute
from PIL import Image

from autoencoder.errors import UserError
from autoencoder.report import charts, findings, network, page, pictures
from autoencoder.report.run import Run

FOLDER = ROOT / "src" / "autoencoder" / "report"


def made_up(*, side: int = 8, code: int = 4, n: int = 50, channels: int = 1, labels: bool = True) -> Run:
    """A run of small random numbers: bright strokes on dark ground, and weights that were never trained."""
    random = np.random.default_rng(0)
    pixels = channels * side * side
    test = np.zeros((n, channels, side, side), np.uint8)
    test[:, :, 1:-1, side // 2] = random.integers(100, 256, (n, channels, side - 2))
    axes = np.linalg.qr(random.standard_normal((pixels, pixels)))[0]
    optimum = np.linspace(1, 1e-3, pixels + 1)
    split = {"mse": 0.7, "optimum_mse": float(optimum[code]), "ratio_to_optimum": 0.7 / float(optimum[code])}
    return Run(
        recipe={"seed": 1, "data": {"name": "birds"}, "train": {"batch_size": 3, "optimizer": "sgd"}},
        model="linear",
        image_shape=(channels, side, side),
        weights={
            "encoder.linear.weight": random.standard_normal((code, pixels)).astype(np.float32),
            "decoder.linear.weight": random.standard_normal((pixels, code)).astype(np.float32) / pixels,
        },
        sha256="0" * 64,
        train_images=1234,
        test=test.reshape(n, -1),
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
        angles=[{"direction": float(n + 1), "degrees": 60.0, "cosine_squared": 0.25} for n in range(code)],
    )


def payload(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_bytes_depend_on_no_locale_time_zone_or_hash_seed_and_need_no_torch(workspace: Path) -> None:
    for stage in ("download", "pca", "train", "evaluate"):
        execute(sys.executable, "stages", stage, cwd=workspace)
    program = (
        "import sys; sys.path[:0] = ['src', 'stages']; from report import report;"
        "report(standalone_mode=False); print('torch' in sys.modules)"
    )
    found = set()
    for seed, zone, language in (("0", "UTC", "C"), ("77", "Asia/Tokyo", "de_DE.UTF-8")):
        environment = ("env", f"PYTHONHASHSEED={seed}", f"TZ={zone}", f"LC_ALL={language}", "OPENBLAS_NUM_THREADS=2")
        told = execute(*environment, sys.executable, "-c", program, cwd=workspace).stdout
        assert told.endswith("False\n")
        found.add((workspace / "report.html").read_bytes())
    assert len(found) == 1
    evaluation = json.loads((workspace / "metrics" / "evaluation.json").read_text())
    html = found.pop().decode()
    for number in (
        f"{evaluation['test']['mse']:.4f}",
        f"{evaluation['test']['optimum_mse']:.4f}",
        f"{evaluation['pca']['directions_captured']:.1f} of",
        f"{evaluation['pca']['largest_angle_degrees']:.1f}°",
    ):
        assert number in html
    assert hashlib.sha256((workspace / "models" / "autoencoder.safetensors").read_bytes()).hexdigest() in html


class Tags(HTMLParser):
    """What a page refers to, its policy, and the text of its styles and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.policy = ""
        self.texts: dict[str, str] = {}
        self.inline: list[str] = []
        self.tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tag = tag if given.get("type") != "application/json" else "data"
        self.references += [given[name] for name in ("src", "href", "action", "data", "srcset") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_data(self, data: str) -> None:
        self.texts[self.tag] = self.texts.get(self.tag, "") + data

    def handle_endtag(self, tag: str) -> None:
        self.tag = ""


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    tags = Tags(page.render(made_up()))
    hashes = {
        kind: base64.b64encode(hashlib.sha256(tags.texts[kind].encode()).digest()).decode()
        for kind in ("style", "script")
    }
    assert tags.policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes['style']}'",
        f"script-src 'sha256-{hashes['script']}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not tags.inline


def test_the_page_refers_to_nothing_outside_itself() -> None:
    tags = Tags(page.render(made_up()))
    assert {reference[:5] for reference in tags.references if reference[0] != "#"} == {"data:"}
    assert {reference[1:] for reference in tags.references if reference[0] == "#"} <= set(tags.ids)
    assert len(tags.ids) == len(set(tags.ids))


def test_a_page_as_large_as_the_articles_has_less_than_a_megabyte() -> None:
    html = page.render(made_up(side=28, code=32, n=1000))
    assert len(html) <= 1_000_000
    assert payload(html)["encoder"][0]["weight"]["type"] == "float32"


def test_a_larger_model_travels_as_float16_and_the_page_says_so() -> None:
    run = made_up(side=28, code=256, n=200)
    html = page.render(run)
    assert len(html) <= 1_500_000
    assert "rounded to float16" in html
    sent = payload(html)["encoder"][0]["weight"]
    values = np.frombuffer(base64.b64decode(sent["base64"]), "<f2").reshape(sent["shape"])
    assert np.array_equal(values, run.weights["encoder.linear.weight"].astype(np.float16))


def test_a_huge_model_leaves_the_live_parts_out_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LIMIT", 1)
    monkeypatch.setattr(page, "TOO_LARGE", 1)
    html = page.render(made_up())
    assert 'id="data"' not in html
    assert "too large to travel" in html
    assert "Your run" in html
    assert 'id="try"' not in html


@pytest.mark.parametrize(
    ("run", "absent"),
    [
        (made_up(labels=False), ['value="label"', 'id="highlight"']),
        (made_up(code=1), ['id="map"']),
        (replace(made_up(), test=255 - made_up().test), ['id="pad"', "Draw"]),
        (made_up(channels=3), ['id="pad"']),
        (made_up(), ["as the article printed it"]),
    ],
    ids=["no classes", "one number", "dark on bright", "colour", "not the article's"],
)
def test_what_does_not_apply_is_not_there(run: Run, absent: list[str]) -> None:
    html = page.render(run)
    text = html[: html.index('<script type="application/json"')]
    for part in absent:
        assert part not in text


def test_template_and_script_know_no_size_of_the_articles_run() -> None:
    for name, literals in (("page.html.jinja", {"784", "32", "28", "10"}), ("page.js", {"784", "32", "28"})):
        numbers = set(re.findall(r"(?<![\w.#&])\d+(?![\w.%])", (FOLDER / name).read_text()))
        assert not numbers & literals, name


def test_the_script_has_at_most_seven_hundred_lines() -> None:
    assert len((FOLDER / "page.js").read_text().splitlines()) <= 700


def test_a_model_that_the_page_cannot_compute_is_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"expected linear.*found strange"):
        network.layers("strange", {})


def test_principal_order_is_the_same_autoencoder_with_uncorrelated_numbers() -> None:
    random = np.random.default_rng(1)
    encoder, decoder = random.standard_normal((5, 20)), random.standard_normal((20, 5))
    x = random.standard_normal((300, 20))
    order = findings.principal_order(encoder, decoder, x, 5)
    assert np.allclose(decoder @ order.back @ order.to @ encoder, decoder @ encoder)
    pictures_added = decoder @ order.back
    assert np.allclose(pictures_added.T @ pictures_added, np.eye(5))
    codes = x @ encoder.T @ order.to.T
    moment = codes.T @ codes
    assert np.allclose(moment, np.diag(np.diag(moment)))
    assert list(np.diag(moment)) == sorted(np.diag(moment), reverse=True)
    leading = findings.principal_order(encoder, decoder, x, 2)
    assert np.allclose(leading.to, order.to[:2])
    assert np.allclose(leading.back, order.back[:, :2])


def test_the_map_holds_the_leading_variance_of_the_codes() -> None:
    codes = np.random.default_rng(2).standard_normal((200, 6)) * [5, 1, 3, 1, 1, 1] + 7
    found = findings.map_of(codes)
    about = codes - codes.mean(0)
    u, s, _ = np.linalg.svd(about, full_matrices=False)
    assert np.allclose(np.abs(found.points), np.abs(u[:, :2] * s[:2]))
    assert found.share == pytest.approx((s[:2] ** 2).sum() / (s**2).sum())
    assert np.allclose(found.points, about @ found.axes.T)


@pytest.mark.parametrize(("mse", "rank"), [(2.0, 0.0), (1.0, 0.0), (0.5, 1.0), (0.375, 1.5), (0.25, 2.0)])
def test_the_equal_rank_is_interpolated_between_whole_ranks(mse: float, rank: float) -> None:
    assert findings.equal_rank(np.array([1, 0.5, 0.25, 0.2]), mse) == pytest.approx(rank)


def test_errors_and_percentiles_are_those_of_numpy() -> None:
    random = np.random.default_rng(3)
    x, y = random.standard_normal((2, 501, 7))
    errors = findings.errors(x, y)
    assert np.allclose(errors, ((x - y) ** 2).mean(1))
    assert np.allclose(findings.percentiles(errors), np.percentile(errors, range(101), method="lower"))


def test_strokes_are_measured_where_they_are_bright_on_dark() -> None:
    images = np.zeros((3, 12, 12), np.uint8)
    images[:, 2:8, 5] = 255
    assert findings.strokes(images) == {"size": 6, "centre": [5.5, 5.0]}
    assert findings.strokes(255 - images) is None


@pytest.mark.parametrize("shape", [(1, 5, 3), (3, 4, 7), (1, 300, 300)])
def test_a_picture_is_read_by_pillow_as_it_was_written(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    head, _, content = pictures.image(pixels).partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        read = np.asarray(image).reshape(*shape[1:], -1)
    assert np.array_equal(read, np.moveaxis(pixels, 0, 2))


def test_a_signed_picture_is_transparent_at_zero_and_tells_the_signs_apart() -> None:
    content = pictures.signed(np.array([[-1.0, 0.0, 0.5, 2.0]]), 1.0).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        pixels = np.asarray(image.convert("RGBA"))[0]
    assert pixels[:, 3].tolist() == [254, 0, 128, 254]
    assert tuple(pixels[0, :3]) == pictures.NEGATIVE
    assert tuple(pixels[3, :3]) == pictures.POSITIVE


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.27, [0, 0.1, 0.2]),
        (-7, 7, [-5, 0, 5]),
        (3, 3.4, [3, 3.1, 3.2, 3.3, 3.4]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(expected)
