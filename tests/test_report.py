"""The page that explains a run, without a browser: its bytes, its numbers, and what is on it for which run."""

import base64
import hashlib
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT
from conftest import run as execute
from made_up import denoising, made_up, with_constraint
from PIL import Image
from torch import nn

from autoencoder.report import charts, facts, findings, network, page, pictures
from autoencoder.report.run import DEFAULTS, Run

FOLDER = ROOT / "src" / "autoencoder" / "report"


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
    assert "they are 1.1 MB of it" in html
    sent = payload(html)["encoder"][0]["weight"]
    values = np.frombuffer(base64.b64decode(sent["base64"]), "<f2")
    assert np.array_equal(values.reshape(256, -1), run.weights["encoder.linear.weight"].astype(np.float16))


def test_a_page_of_large_pictures_has_at_most_a_megabyte_and_a_half_beside_its_weights() -> None:
    run = made_up(side=64, channels=3, code=4, n=200)
    html = page.render(run)
    assert len(html) <= 1_500_000 + sum(weight.size for weight in run.weights.values()) * 8 / 3
    assert len(payload(html)["shown"]["number"]) >= facts.EXAMPLES


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
        (made_up()._replace(test=255 - made_up().test), ['id="pad"', "Draw"]),
        (made_up(channels=3, wide=12), ['id="pad"', "orange"]),
        (made_up(), ["as the article printed it"]),
    ],
    ids=["no classes", "one number", "dark on bright", "colour", "not the article's"],
)
def test_what_does_not_apply_is_not_there(run: Run, absent: list[str]) -> None:
    html = page.render(run)
    text = html[: html.index('<script type="application/json"')]
    for part in absent:
        assert part not in text


@pytest.mark.parametrize(
    ("run", "shown", "control"),
    [
        (with_constraint("l1"), ["42 per cent", "1 number of the 4 is"], "count"),
        (with_constraint("top_k"), ["42 per cent", "the 2 largest"], "count"),
        (with_constraint("contractive"), ["1.5"], None),
        (with_constraint("variational"), ["20.2", "30.5", "3 of 4"], "draw"),
    ],
    ids=lambda value: value.description["constraint"]["name"] if isinstance(value, Run) else "",
)
def test_each_constraint_has_its_part_and_others_have_a_line(run: Run, shown: list[str], control: str | None) -> None:
    html = page.render(run)
    section = html[html.index('<section id="constraint"') : html.index('<section id="record"')]
    assert 'id="chart-family"' in section
    for text in shown:
        assert text in section
    assert [name for name in ("count", "draw", "level") if f'id="{name}"' in section] == ([control] if control else [])
    commands = set(re.findall(r"constraint.name=(\w+)", section))
    assert commands == {*network.CONSTRAINTS} - {run.description["constraint"]["name"]}


@pytest.mark.parametrize("known", [True, False])
def test_a_denoising_run_shows_its_errors_by_level(known: bool) -> None:
    html = page.render(denoising("masking" if known else "birds", optimum=known))
    assert 'id="chart-levels"' in html
    assert ("1.40 times that optimum" in html) == known
    assert ('id="level"' in html) == known  # the script knows no other corruption


def test_a_model_that_the_page_cannot_compute_gets_a_page_that_says_so() -> None:
    run = made_up()
    html = page.render(run._replace(description=run.description | {"constraint": {"name": "<new>"}}))
    assert "cannot compute" in html
    assert "&lt;new&gt;" in html
    assert "0.7000" in html


def test_the_script_gets_no_more_than_a_hundred_images_and_a_thousand_points() -> None:
    sent = facts.facts(made_up(n=3_000))[1]
    assert len(sent["shown"]["images"]) == 100
    assert len(sent["map"]["points"]) == 1_000


def test_template_and_script_know_no_size_of_the_articles_run() -> None:
    for name, literals in (
        ("page.html.jinja", {"784", "32", "28", "10"}),
        ("charts.html.jinja", {"784", "32", "28", "10"}),
        ("page.js", {"784", "32", "28"}),
    ):
        numbers = set(re.findall(r"(?<![\w.#&])\d+(?![\w.%])", (FOLDER / name).read_text()))
        assert not numbers & literals, name


def test_the_script_has_at_most_seven_hundred_lines() -> None:
    assert len((FOLDER / "page.js").read_text().splitlines()) <= 700


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid])
def test_an_mlp_is_computed_as_torch_computes_it(activation: type[nn.Module]) -> None:
    torch.manual_seed(1)
    halves = [nn.Sequential(nn.Linear(a, 7), activation(), nn.Linear(7, b)) for a, b in ((12, 3), (3, 12))]
    named = {"model": "mlp", "code_dimensions": 3, "image_shape": [1, 3, 4]}
    agree(halves, named | {"options": {"activation": activation.__name__.lower()}})


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 6), (1, 5, 9)])
def test_a_convolutional_model_is_computed_as_torch_computes_it(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(2)
    channels, height, width = shape
    half, quarter = ([-(-edge // by) for edge in (height, width)] for by in (2, 4))
    down = {"kernel_size": 3, "stride": 2, "padding": 1}
    inner = 5 * quarter[0] * quarter[1]
    extra = [tuple(1 - edge % 2 for edge in size) for size in (half, (height, width))]
    encoder = [nn.Unflatten(1, shape), nn.Conv2d(channels, 4, **down), nn.Tanh(), nn.Conv2d(4, 5, **down), nn.Tanh()]
    decoder = [nn.Linear(2, inner), nn.Unflatten(1, (5, *quarter)), nn.Tanh()]
    decoder += [nn.ConvTranspose2d(5, 4, **down, output_padding=extra[0]), nn.Tanh()]
    decoder += [nn.ConvTranspose2d(4, channels, **down, output_padding=extra[1]), nn.Flatten()]
    halves = [nn.Sequential(*encoder, nn.Flatten(), nn.Linear(inner, 2)), nn.Sequential(*decoder)]
    named = {"model": "convolutional", "code_dimensions": 2, "image_shape": list(shape)}
    agree(halves, named | {"options": {"activation": "tanh"}})


@pytest.mark.parametrize(
    ("constraint", "code"),
    [
        ({"name": "none"}, lambda h: h),
        ({"name": "contractive"}, lambda h: h),
        ({"name": "l1"}, lambda h: h.relu()),
        ({"name": "top_k", "active": 2}, lambda h: torch.where(h >= h.topk(2).values[:, -1:], h, 0)),
        ({"name": "variational"}, lambda h: h[:, :3]),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_the_code_is_the_constraints_and_logits_become_probabilities(constraint: dict[str, Any], code: Any) -> None:
    torch.manual_seed(3)
    halves = [nn.Linear(12, 6), nn.Linear(3, 12)]
    if constraint["name"] != "variational":
        halves[0] = nn.Linear(12, 3)
    weights = {
        f"{name}.linear.{kind}": weight.detach().numpy()
        for name, half in zip(("encoder", "decoder"), halves, strict=True)
        for kind, weight in half.named_parameters()
    }
    description = DEFAULTS | {"model": "linear", "code_dimensions": 3, "image_shape": [1, 3, 4], "loss": "bce"}
    encoder, decoder = network.layers(description | {"constraint": constraint}, weights)
    x = torch.randn(50, 12)
    expected = code(halves[0](x))
    z = network.apply(encoder, x.double().numpy())
    assert np.allclose(z, expected.detach(), atol=1e-5)
    assert np.allclose(network.apply(decoder, z), halves[1](expected).sigmoid().detach(), atol=1e-5)


def agree(halves: list[nn.Module], description: dict[str, Any]) -> None:
    """Assert that the page's layers of an encoder and a decoder do what torch's do."""
    weights = {
        f"{name}.{part}": weight.detach().numpy()
        for name, half in zip(("encoder", "decoder"), halves, strict=True)
        for part, weight in half.named_parameters()
    }
    x = torch.randn(1_001, int(np.prod(description["image_shape"])))  # more than a batch
    for half, layers in zip(halves, network.layers(DEFAULTS | description, weights), strict=True):
        with torch.no_grad():
            expected = half(x)
        assert np.allclose(network.apply(layers, x.double().numpy()), expected, atol=1e-5)
        x = expected


def test_principal_order_is_the_same_autoencoder_with_uncorrelated_numbers() -> None:
    random = np.random.default_rng(1)
    encoder, decoder = random.standard_normal((5, 20)), random.standard_normal((20, 5))
    x = random.standard_normal((300, 20))
    to, back = findings.principal_order(encoder, decoder, x, 5)
    assert np.allclose(decoder @ back @ to @ encoder, decoder @ encoder)
    pictures_added = decoder @ back
    assert np.allclose(pictures_added.T @ pictures_added, np.eye(5))
    codes = x @ encoder.T @ to.T
    moment = codes.T @ codes
    assert np.allclose(moment, np.diag(np.diag(moment)))
    assert list(np.diag(moment)) == sorted(np.diag(moment), reverse=True)
    leading = findings.principal_order(encoder, decoder, x, 2)
    assert np.allclose(leading[0], to[:2])
    assert np.allclose(leading[1], back[:, :2])


def test_the_map_holds_the_leading_variance_of_the_codes() -> None:
    codes = np.random.default_rng(2).standard_normal((200, 6)) * [5, 1, 3, 1, 1, 1] + 7
    points, _, axes, share = findings.map_of(codes)
    about = codes - codes.mean(0)
    u, s, _ = np.linalg.svd(about, full_matrices=False)
    assert np.allclose(np.abs(points), np.abs(u[:, :2] * s[:2]))
    assert share == pytest.approx((s[:2] ** 2).sum() / (s**2).sum())
    assert np.allclose(points, about @ axes.T)


def test_errors_are_those_of_numpy() -> None:
    seen = findings.findings(made_up())
    assert np.allclose(seen.errors, ((seen.x - seen.rebuilt) ** 2).mean(1))


@pytest.mark.parametrize("activation", [nn.GELU, nn.Tanh, nn.Sigmoid])
@pytest.mark.parametrize("model", ["mlp", "convolutional"])
def test_the_jacobian_is_that_of_autograd(model: str, activation: type[nn.Module]) -> None:
    torch.manual_seed(4)
    down = {"kernel_size": 3, "stride": 2, "padding": 1}
    encoder = (
        nn.Sequential(nn.Linear(42, 9), activation(), nn.Linear(9, 3))
        if model == "mlp"
        else nn.Sequential(
            nn.Unflatten(1, (1, 6, 7)), nn.Conv2d(1, 4, **down), activation(), nn.Flatten(), nn.Linear(48, 3)
        )
    )
    weights = {f"encoder.{name}": value.detach().numpy() for name, value in encoder.named_parameters()}
    described = DEFAULTS | {"model": model, "code_dimensions": 3, "image_shape": [1, 6, 7]}
    layers, _ = network.layers(described | {"options": {"activation": activation.__name__.lower()}}, weights)
    x = torch.randn(1, 42)
    expected = torch.autograd.functional.jacobian(lambda x: encoder(x)[0], x)[:, 0].numpy()
    assert np.allclose(network.jacobian(layers, x.double().numpy()), expected, atol=1e-4)
    leading = findings.tangents(layers, x.double().numpy(), 2)
    assert np.allclose(np.abs(leading), np.abs(np.linalg.svd(expected)[2][:2]), atol=1e-3)


def test_strokes_are_measured_where_they_are_bright_on_dark() -> None:
    images = np.zeros((3, 12, 12), np.uint8)
    images[:, 2:8, 5] = 255
    assert findings.strokes(images) == {"size": 6, "centre": [5.5, 5.0]}
    assert findings.strokes(255 - images) is None


@pytest.mark.parametrize("shape", [(1, 5, 3), (3, 4, 7), (1, 300, 300)])
def test_a_picture_is_read_by_pillow_as_it_was_written(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    for address in (pictures.image(pixels), *pictures.shades(pixels.reshape(1, -1) / 255.0, shape, 0)):
        assert np.array_equal(read(address).reshape(*shape[1:], -1), np.moveaxis(pixels, 0, 2))


def test_a_signed_picture_is_transparent_at_zero_and_tells_the_signs_apart() -> None:
    (address,) = pictures.signed(np.array([[-1.0, 0.0, 0.5, 1.0]]), (1, 1, 4))
    pixels = read(address)[0]
    assert pixels[:, 3].tolist() == [255, 0, 128, 255]
    assert tuple(pixels[0, :3]) == pictures.NEGATIVE
    assert tuple(pixels[3, :3]) == pictures.POSITIVE


def test_a_signed_picture_in_colour_is_grey_at_zero() -> None:
    (address,) = pictures.signed(np.array([[-2.0, 0.0, 2.0]]), (3, 1, 1))
    assert read(address).tolist() == [[[0, 128, 255]]]


def read(address: str) -> Any:
    """The pixels of a picture's address."""
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image)


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
