"""The page in Chromium: from a file, framed as in MLflow, by pointer and keyboard, small, dark, printed, scriptless."""

import base64
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, run, small
from made_up import denoising, made_up, with_constraint
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from autoencoder.data.images import load_images, scale
from autoencoder.models.saved import load_model
from autoencoder.report import network, page
from autoencoder.report.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore:.*:ResourceWarning")]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of a run on digits."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("src", "stages", "dvc.yaml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "data" / "sets", folder / "data" / "sets")
    (folder / "params.yaml").write_text(small((ROOT / "params.yaml").read_text()))
    for stage in ("download", "pca", "train", "evaluate", "report"):
        run(sys.executable, "stages", stage, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"):
            options.add_argument(argument)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        yield browser
        browser.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome, workspace: Path) -> Iterator[webdriver.Chrome]:
    """The page, opened from its file. Afterwards: nothing was logged, and nothing but files and data was asked for."""
    yield from opened(chromium, workspace / "report.html")


def opened(chromium: webdriver.Chrome, page_file: Path) -> Iterator[webdriver.Chrome]:
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    resize(chromium, 1280)
    chromium.get(page_file.as_uri())
    chromium.execute_script("finish()")
    yield chromium
    assert chromium.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = {
        message["params"]["request"]["url"].partition(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data", "about"}


@pytest.fixture(params=["denoising", "top_k", "variational", "contractive"])
def of_family(
    request: pytest.FixtureRequest, chromium: webdriver.Chrome, tmp_path: Path
) -> Iterator[tuple[str, webdriver.Chrome]]:
    """The page of a made-up run of each family."""
    made = denoising("gaussian") if request.param == "denoising" else with_constraint(request.param)
    (tmp_path / "report.html").write_text(page.render(made))
    for browser in opened(chromium, tmp_path / "report.html"):
        yield request.param, browser


def resize(browser: webdriver.Chrome, width: int, scheme: str = "light", medium: str = "") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": features})


def picture(browser: webdriver.Chrome, canvas: str) -> bytes:
    """What a canvas shows when all is done that waits for the browser to be idle."""
    show = "finish(); return document.getElementById(arguments[0]).toDataURL()"
    address = browser.execute_script(show, canvas)
    return base64.b64decode(address.partition(",")[2])


def text(browser: webdriver.Chrome, place: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", place))


def test_the_script_computes_what_torch_computes(
    browser: webdriver.Chrome, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    model, _ = load_model()
    images = load_images().test
    count = 20
    codes, outputs, numbers = browser.execute_script(
        "const places = [...Array(arguments[0]).keys()];"
        "const codes = places.map((place) => encode(picture(place)));"
        "return [codes.map((z) => [...z]), codes.map((z) => [...decode(z)]), page.shown.number.slice(0, arguments[0])]",
        count,
    )
    with torch.no_grad():
        expected = model.encode(scale(images[numbers]))
        rebuilt = model.decode(expected)
    assert len(codes) == count
    assert torch.allclose(torch.tensor(codes), expected, rtol=0, atol=1e-4)
    assert torch.allclose(torch.tensor(outputs), rebuilt, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        {"kind": "linear", "weight": (3, 60), "bias": (3,)},
        {"kind": "convolution", "weight": (4, 2, 3, 3), "bias": (4,), "large": (6, 5), "small": (3, 3), "up": False},
        {"kind": "convolution", "weight": (10, 2, 3, 3), "bias": (2,), "large": (3, 6), "small": (2, 3), "up": True},
        {"kind": "largest", "count": 7},
        {"kind": "first", "count": 5},
        *({"kind": kind} for kind in ("relu", "tanh", "sigmoid", "gelu")),
    ],
    ids=lambda layer: f"{layer['kind']} {layer.get('up', '')}".strip(),
)
def test_every_kind_of_layer_is_the_same_in_the_script_and_in_numpy(
    browser: webdriver.Chrome, layer: dict[str, Any]
) -> None:
    random = np.random.default_rng(5)
    x = random.standard_normal(60)
    drawn = {name: random.standard_normal(layer[name]) for name in ("weight", "bias") if name in layer}
    found = browser.execute_script(
        "return [...layers[arguments[1].kind](Float32Array.from(arguments[0]), arguments[1])]",
        x.tolist(),
        layer | {name: values.ravel().tolist() for name, values in drawn.items()},
    )
    assert np.allclose(found, network.apply([layer | drawn], x[None])[0], atol=1e-5)


def test_float16_is_read_as_numpy_writes_it(browser: webdriver.Chrome) -> None:
    values = torch.tensor([0, 1, -1, 0.1, -3.75, 65504, 6e-8, -6.1e-5, 1 / 3]).half()
    sent = {"type": "float16", "base64": base64.b64encode(values.numpy().tobytes()).decode()}
    assert browser.execute_script("return [...numbers(arguments[0])]", sent) == values.tolist()


def test_a_stroke_of_the_pointer_is_seen_encoded_and_decoded(browser: webdriver.Chrome) -> None:
    before = [picture(browser, name) for name in ("input", "output", "pca-output")]
    pad = browser.find_element(By.ID, "pad")
    pen = ActionChains(browser).move_to_element_with_offset(pad, -40, -60).click_and_hold()
    pen.move_by_offset(60, 20).move_by_offset(-20, 90).release().perform()
    assert text(browser, "input-name") == "Your drawing"
    assert all(
        picture(browser, name) != old for name, old in zip(("input", "output", "pca-output"), before, strict=True)
    )
    assert "Error 0." in text(browser, "output-name")


def test_a_drawing_is_as_large_as_the_sets_pictures_and_lies_where_they_lie(browser: webdriver.Chrome) -> None:
    """An oracle of few lines: the bounding box and the centre of mass of what the encoder sees."""
    pad = browser.find_element(By.ID, "pad")
    ActionChains(browser).move_to_element_with_offset(pad, -90, -100).click_and_hold().move_by_offset(
        0, 120
    ).release().perform()
    pixels, width, strokes = browser.execute_script("return [[...yours.x], page.image.width, page.strokes]")
    ink = (torch.tensor(pixels).reshape(-1, width) + 1) / 2
    rows = (ink.sum(1) > 0.02).nonzero().flatten()
    assert strokes["size"] <= rows[-1] - rows[0] + 1 <= strokes["size"] + 1
    centre = (ink.sum(1) * (torch.arange(len(ink)) + 0.5)).sum() / ink.sum()
    assert abs(centre - strokes["centre"][1]) < 0.5


def test_everything_is_reached_and_used_by_keyboard(browser: webdriver.Chrome) -> None:
    reached: list[str] = []
    for _ in range(80):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.append(browser.execute_script("return document.activeElement.id || document.activeElement.tagName"))
    wanted = ["choose", "another", "noise", "erase", "undo", "epoch", "sort"]
    assert [name for name in reached if name in wanted] == wanted
    for control, key, shown in (
        ("choose", Keys.ARROW_DOWN * 2, "output"),
        ("rank", Keys.ARROW_LEFT, "pca-output"),
        ("step", Keys.ARROW_LEFT, "walk"),
        ("target", Keys.ARROW_DOWN, "walk-to"),
        ("map-x", Keys.ARROW_RIGHT, "place"),
        ("noise", Keys.ENTER, "input"),
        ("erase", Keys.SPACE, "input"),
    ):
        before = picture(browser, shown)
        browser.find_element(By.ID, control).send_keys(key)
        assert picture(browser, shown) != before, control
    before_text = text(browser, "epoch-values")
    browser.find_element(By.ID, "epoch").send_keys(Keys.ARROW_LEFT)
    assert text(browser, "epoch-values") != before_text


def test_principal_order_changes_the_sliders_and_not_the_picture(browser: webdriver.Chrome) -> None:
    values = "return [...document.querySelectorAll('#sliders input')].map((slider) => Number(slider.value))"
    before, sliders = picture(browser, "decoded"), browser.execute_script(values)
    browser.find_element(By.ID, "principal").send_keys(Keys.SPACE)
    assert picture(browser, "decoded") == before
    assert browser.execute_script(values) != sliders
    browser.find_element(By.CSS_SELECTOR, "#sliders input").send_keys(Keys.ARROW_RIGHT)
    assert picture(browser, "decoded") != before
    browser.find_element(By.ID, "recode").click()
    assert picture(browser, "decoded") == before


def test_a_picture_of_the_gallery_leads_back_to_try_it(browser: webdriver.Chrome) -> None:
    gallery = "#gallery button"
    browser.execute_script(
        "const sort = document.getElementById('sort'); sort.value = 'hard'; sort.dispatchEvent(new Event('change'))"
    )
    errors = [float(item.text) for item in browser.find_elements(By.CSS_SELECTOR, f"{gallery} span")]
    assert len(errors) > 90
    assert errors == sorted(errors, reverse=True)
    last = browser.find_elements(By.CSS_SELECTOR, gallery)[-1]
    called = str(last.get_attribute("aria-label"))
    last.send_keys(Keys.ENTER)
    assert called.startswith(text(browser, "input-name"))
    assert browser.execute_script("return document.activeElement.id") == "try-title"


def test_nothing_is_wider_than_the_window_and_every_control_has_a_name(browser: webdriver.Chrome) -> None:
    for width in (360, 1280):
        for scheme in ("light", "dark"):
            resize(browser, width, scheme)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, select, input')].filter((control) =>"
        "!control.labels?.length && !control.textContent.trim() && !control.ariaLabel).map((control) => control.id)"
    )
    assert unnamed == []
    background = "return getComputedStyle(document.body).backgroundColor"
    resize(browser, 1280, "light")
    light = browser.execute_script(background)
    resize(browser, 1280, "dark")
    assert browser.execute_script(background) != light


def test_print_keeps_the_figures_and_hides_the_controls(browser: webdriver.Chrome) -> None:
    resize(browser, 800, medium="print")
    assert not browser.find_element(By.ID, "noise").is_displayed()
    assert browser.find_element(By.ID, "chart-learning").is_displayed()
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return [...document.querySelectorAll('details')].every((details) => details.open)")
    assert base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"]).startswith(b"%PDF")


def test_without_javascript_the_text_and_the_figures_remain(browser: webdriver.Chrome) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        shown = [
            name
            for name in ("chart-learning", "chart-rank", "noise", "gallery")
            if browser.find_element(By.ID, name).is_displayed()
        ]
        assert shown == ["chart-learning", "chart-rank"]
        assert browser.find_element(By.CLASS_NAME, "still").is_displayed()
        assert len(browser.find_elements(By.CSS_SELECTOR, ".examples img")) == 20
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def frame(browser: webdriver.Chrome, page_file: Path, kind: str) -> None:
    """Open the page as MLflow shows it: in a frame in which scripts may run, and nothing else."""
    content: dict[str, Any] = {"src": page_file.as_uri(), "srcdoc": page_file.read_text()}
    escaped = content[kind].replace("&", "&amp;").replace('"', "&quot;")
    outside = page_file.with_name(f"frame-{kind}.html")
    outside.write_text(f'<iframe sandbox="allow-scripts" width="900" height="700" {kind}="{escaped}"></iframe>')
    browser.get(outside.as_uri())


@pytest.mark.parametrize("kind", ["src", "srcdoc"])
def test_in_a_sandboxed_frame_it_works_again_and_again(browser: webdriver.Chrome, workspace: Path, kind: str) -> None:
    """As in MLflow, where the frame may be made anew at any time."""
    frame(browser, workspace / "report.html", kind)
    for _ in range(2):
        browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
        before = picture(browser, "input")
        browser.find_element(By.ID, "another").send_keys(Keys.ENTER)
        assert picture(browser, "input") != before
        browser.find_element(By.CSS_SELECTOR, 'a[href="#pca"]').send_keys(Keys.ENTER)
        assert browser.execute_script("return [document.activeElement.id, scrollY > 0]") == ["pca-title", True]
        browser.switch_to.default_content()
        browser.execute_script("const frame = document.querySelector('iframe'); frame.replaceWith(frame.cloneNode())")


def press(browser: webdriver.Chrome, control: str, keys: str) -> None:
    browser.find_element(By.ID, control).send_keys(keys)
    browser.execute_script("finish()")


def test_each_familys_controls_work_by_keyboard_and_pointer(of_family: tuple[str, webdriver.Chrome]) -> None:
    name, browser = of_family
    {"denoising": damage, "top_k": add_up, "variational": draw, "contractive": look_at_tangents}[name](browser)


def damage(browser: webdriver.Chrome) -> None:
    press(browser, "level", Keys.HOME)
    assert picture(browser, "damaged") == picture(browser, "clean")
    assert text(browser, "damaged-error") == "Level 0.00, error 0.0000"
    assert picture(browser, "denoised") == picture(browser, "output")
    before = [picture(browser, canvas) for canvas in ("damaged", "denoised")]
    slider = browser.find_element(By.ID, "level")
    ActionChains(browser).move_to_element_with_offset(slider, 40, 0).click().perform()
    after = [picture(browser, canvas) for canvas in ("damaged", "denoised")]
    assert all(new != old for new, old in zip(after, before, strict=True))
    browser.find_element(By.ID, "damage").click()
    assert picture(browser, "damaged") != after[0]


def add_up(browser: webdriver.Chrome) -> None:
    press(browser, "count", Keys.END)
    assert text(browser, "sum-note").startswith("2 of 2 active numbers")
    assert picture(browser, "sum") == picture(browser, "output")
    press(browser, "count", Keys.HOME)
    assert text(browser, "atom-note") == "None so far"
    nothing = picture(browser, "sum")
    slider = browser.find_element(By.ID, "count")
    ActionChains(browser).move_to_element(slider).click().perform()
    assert text(browser, "sum-note").startswith("1 of 2 active numbers")
    assert picture(browser, "sum") != nothing


PRIOR = "return [...document.getElementById('prior').children].map((shown) => shown.src ?? shown.toDataURL())"


def draw(browser: webdriver.Chrome) -> None:
    seen = set(browser.execute_script(PRIOR))
    count = len(seen)
    assert count > 1
    press(browser, "draw", Keys.ENTER)
    seen |= set(browser.execute_script(PRIOR))
    browser.find_element(By.ID, "draw").click()
    seen |= set(browser.execute_script(PRIOR))
    assert len(seen) == 3 * count


def look_at_tangents(browser: webdriver.Chrome) -> None:
    rows = browser.execute_script(
        "return [...document.querySelectorAll('.tangents .tiles')].map("
        "(row) => [...row.children].map((image) => [image.src, image.naturalWidth, image.naturalHeight]))"
    )
    assert len(rows) == 3
    for row in rows:
        assert len({address for address, *_ in row}) == 5  # a picture, and as many tangents as the code has numbers
        assert all(size == [8, 8] for _, *size in row)


def test_a_variational_page_works_in_mlflows_frame(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page.render(with_constraint("variational")))
    for browser in opened(chromium, tmp_path / "report.html"):
        frame(browser, tmp_path / "report.html", "srcdoc")
        browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
        seen = browser.execute_script(PRIOR)
        press(browser, "draw", Keys.ENTER)
        assert not {*seen} & {*browser.execute_script(PRIOR)}
        before = picture(browser, "decoded")
        browser.find_element(By.CSS_SELECTOR, "#sliders input").send_keys(Keys.ARROW_RIGHT)
        assert picture(browser, "decoded") != before
        browser.switch_to.default_content()


@pytest.mark.skipif("AXE" not in os.environ, reason="AXE is the path of axe-core's axe.min.js: npm install axe-core")
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(of_family: tuple[str, webdriver.Chrome], scheme: str, width: int) -> None:
    _, browser = of_family
    resize(browser, width, scheme)
    browser.execute_script(Path(os.environ["AXE"]).read_text())
    browser.execute_script("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(({ violations }) =>"
        "done(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))])))"
    )
    assert found == []


@pytest.mark.parametrize(
    "made",
    [
        made_up(code=1),
        made_up(code=40),
        made_up(labels=False),
        made_up(channels=3, wide=12),
        made_up()._replace(test=255 - made_up().test),
    ],
    ids=["one number", "more numbers than sliders", "no classes", "colour", "dark on bright"],
)
def test_every_control_of_every_run_works(chromium: webdriver.Chrome, tmp_path: Path, made: Run) -> None:
    (tmp_path / "report.html").write_text(page.render(made))
    for browser in opened(chromium, tmp_path / "report.html"):
        before = picture(browser, "output")
        browser.find_element(By.ID, "another").click()
        assert picture(browser, "output") != before
        browser.execute_script(
            "for (const control of document.querySelectorAll('main button')) control.click();"
            "for (const control of document.querySelectorAll('main input[type=range]')) {"
            "  control.value = control.min; control.dispatchEvent(new Event('input')); }"
            "for (const control of document.querySelectorAll('main select')) {"
            "  control.selectedIndex = 1; control.dispatchEvent(new Event('change')); }"
            "finish();"
        )
