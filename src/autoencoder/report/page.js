// The script of the page: it decodes the data below the text, computes what the network computes, and draws it.
// It keeps nothing, asks for nothing, and reads from top to bottom: numbers, network, pictures, then one part per section.
"use strict";

const page = JSON.parse(document.getElementById("data")?.textContent ?? "null", (_, value) => (value?.base64 ? numbers(value) : value));

// ---------------------------------------------------------------------------------------------------- numbers

// A tensor of the data as an array of numbers, row after row. Browsers from before 2025 take a detour.
function numbers({ type, base64 }) {
  const bytes = Uint8Array.fromBase64?.(base64) ?? Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (type === "uint8") return bytes;
  if (type === "float32") return new Float32Array(bytes.buffer);
  return window.Float16Array ? new Float32Array(new Float16Array(bytes.buffer)) : Float32Array.from(new Uint16Array(bytes.buffer), half);
}

// A float16 as a number: one bit of sign, five of exponent, ten of fraction.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

// ---------------------------------------------------------------------------------------------------- network

// A matrix, stored row after row, times the vector x, plus a bias where there is one.
function linear(x, { weight, bias }) {
  const result = new Float32Array(weight.length / x.length);
  let place = 0;
  for (let row = 0; row < result.length; row++) {
    let sum = bias ? bias[row] : 0;
    for (let i = 0; i < x.length; i++) sum += weight[place++] * x[i];
    result[row] = sum;
  }
  return result;
}

// A convolution, 3 × 3 with stride 2, from large pictures to small ones, or transposed, "up", from small to large ones.
// Each weight links one small picture with one large picture: their pixels (i, j) and (2i + u - 1, 2j + v - 1).
function convolution(x, { weight, bias, large: [height, width], small: [rows, columns], up }) {
  const count = up ? x.length / (rows * columns) : bias.length; // of small pictures
  const pairs = weight.length / 9 / count; // that each small picture is in
  const size = up ? height * width : rows * columns;
  const result = new Float32Array(size * bias.length).map((_, place) => bias[Math.floor(place / size)]);
  weight.forEach((value, place) => {
    const [u, v, pair] = [Math.floor(place / 3) % 3, place % 3, Math.floor(place / 9)];
    for (let i = u ? 0 : 1; i < rows && 2 * i + u - 1 < height; i++) {
      const ofLarge = ((pair % pairs) * height + 2 * i + u - 1) * width;
      const ofSmall = (Math.floor(pair / pairs) * rows + i) * columns;
      for (let j = v ? 0 : 1; j < columns && 2 * j + v - 1 < width; j++) {
        const far = ofLarge + 2 * j + v - 1;
        if (up) result[far] += value * x[ofSmall + j];
        else result[ofSmall + j] += value * x[far];
      }
    }
  });
  return result;
}

// x times the probability that a normal number is less than x (Abramowitz & Stegun 1964, 7.1.26).
function gelu(x) {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const sum = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0].reduce((all, next) => all * t + next);
  const tail = sum * Math.exp((-x * x) / 2);
  return (x / 2) * (x < 0 ? tail : 2 - tail);
}

// The numbers of x that are at least as large as the one in place `count`, and zeros for the others.
function largest(x, { count }) {
  const least = Float32Array.from(x).sort().at(-count);
  return x.map((value) => (value >= least ? value : 0));
}

// What each kind of layer does to x.
const each = (change) => (x) => x.map(change);
const layers = {
  linear,
  convolution,
  largest,
  relu: each((value) => Math.max(0, value)),
  tanh: each(Math.tanh),
  sigmoid: each((value) => 1 / (1 + Math.exp(-value))),
  gelu: each(gelu),
  first: (x, { count }) => x.slice(0, count),
};

// The code of the scaled picture x.
function encode(x) {
  for (const layer of page.encoder) x = layers[layer.kind](x, layer);
  return x;
}

// The reconstruction that the code z stands for.
function decode(z) {
  for (const layer of page.decoder) z = layers[layer.kind](z, layer);
  return z;
}

// The mean, over the pixels, of the squared difference of two pictures, whose pixels are counted from -1 to 1.
function error(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return (sum / a.length) * (2 / (page.range[1] - page.range[0])) ** 2;
}

// (1 - t) a + t b: the point at the share t of the way from a to b.
const between = (a, b, t) => a.map((value, i) => (1 - t) * value + t * b[i]);

// ---------------------------------------------------------------------------------------------------- pictures

const $ = (id) => document.getElementById(id);

// A new element with these properties and this inside.
function make(tag, properties, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

// Pixels in 0…255 as a picture that the network takes, on its own scale.
function scaled(pixels) {
  const [low, high] = page.range;
  return Float32Array.from(pixels, (pixel) => low + ((high - low) * pixel) / 255);
}

// Fill a canvas with one small picture; `shade` writes red, green, blue and opacity of the pixel at a place.
function fill(canvas, shade) {
  const { height, width } = page.image;
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let place = 0; place < width * height; place++) shade(image.data, 4 * place, place);
  context.putImageData(image, 0, 0);
}

// Draw a picture of the network's scale, grey or in colour.
function paint(canvas, x) {
  const [low, high] = page.range;
  const step = page.image.channels === 3 ? page.image.height * page.image.width : 0; // from red to green to blue
  fill(canvas, (data, at, place) => {
    for (let colour = 0; colour < 3; colour++) {
      data[at + colour] = (255 * (x[place + colour * step] - low)) / (high - low);
    }
    data[at + 3] = 255;
  });
}

// Draw what is added to a picture: orange where it is brighter, blue where it is darker, nothing at zero; or in colour.
function paintSigned(canvas, values) {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  const [low, high] = page.range;
  if (page.image.channels === 3) return paint(canvas, values.map((value) => between([low], [high], (1 + value / largest) / 2)[0]));
  const [orange, blue] = [[208, 84, 26], [70, 102, 140]];
  fill(canvas, (data, at, place) => {
    data.set(values[place] > 0 ? orange : blue, at);
    data[at + 3] = (255 * Math.abs(values[place])) / largest;
  });
}

// Draw a code as bars below each other, to the right if positive, in the coordinates -1…1 and 0…length.
function paintBars(svg, code) {
  const largest = Math.max(...page.limits, ...code.map(Math.abs));
  const bar = (value, i) => `M0 ${i + 0.1}h${value / largest}v.8H0z`;
  const bars = (sign) => Array.from(code, (value, i) => (Math.sign(value) === sign ? bar(value, i) : "")).join("");
  svg.setAttribute("viewBox", `-1.02 0 2.04 ${code.length}`);
  svg.querySelector(".positive").setAttribute("d", bars(1));
  svg.querySelector(".negative").setAttribute("d", bars(-1));
  svg.setAttribute("aria-label", `The code: ${Array.from(code, (value) => value.toFixed(1)).join(", ")}`);
}

// Where numbers lie in a chart: for `x` and `y` the lowest and the highest number, and the places of these.
const frameOf = (name) => JSON.parse($(`chart-${name}`).dataset.frame);

const placed = ([low, high, from, to], value) => from + ((value - low) / (high - low)) * (to - from);

// Put the marker of a chart at x: a line, or with a y a cross.
function mark(name, x, y) {
  const frame = frameOf(name);
  const across = placed(frame.x, Math.max(frame.x[0], Math.min(frame.x[1], x)));
  const path = y === undefined ? `M${across} ${frame.y[2]}V${frame.y[3]}` : `M${across - 9} ${placed(frame.y, y)}h18m-9-9v18`;
  document.querySelector(`#chart-${name} .marker`).setAttribute("d", path);
}

const short = (value) => value.toFixed(4);

function name(place) {
  const { label, number } = page.shown;
  return `Test picture ${number[place]}${label ? `, class ${label[place]}` : ""}`;
}

// The test picture at a place among those of the page, scaled.
function picture(place) {
  const { height, width, channels } = page.image;
  const size = height * width * channels;
  return scaled(page.shown.images.subarray(place * size, (place + 1) * size));
}

const options = (select, first) =>
  page.shown.number.forEach((_, place) => select.append(new Option(name(place), place, place === first, place === first)));

// ---------------------------------------------------------------------------------------------------- what can wait

// Tasks for when the browser has nothing else to do, the oldest first. A task that waits twice is done once.
const waiting = new Set();
const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 1, { timeRemaining: () => 5 }));
let planned = false;

function later(task) {
  waiting.add(task);
  plan();
}

function plan() {
  if (!planned) whenIdle(work, { timeout: 200 });
  planned = true;
}

function work(time) {
  for (const task of waiting) {
    waiting.delete(task);
    task();
    if (time.timeRemaining() < 1) break;
  }
  planned = false;
  if (waiting.size) plan();
}

const finish = () => work({ timeRemaining: () => Infinity });

// ---------------------------------------------------------------------------------------------------- your picture

// What the reader has chosen or drawn: `x`, its code, its reconstruction and its name. "Try it" shows it at once, and
// every other part when the pen has rested for 100 ms, so that no stroke waits for them.
const yours = { x: null, code: null, output: null, name: "" };
const followers = [];
let rest = 0;

function take(x, called) {
  const code = encode(x);
  Object.assign(yours, { x, code, output: decode(code), name: called });
  showTry();
  followers.forEach((show) => waiting.add(show));
  clearTimeout(rest);
  rest = setTimeout(plan, 100);
}

function follow(show) {
  followers.push(show);
  show();
}

function start() {
  for (const element of document.querySelectorAll(".live")) element.hidden = false;
  for (const element of document.querySelectorAll(".still")) element.hidden = true;
  followLinks();
  tryIt();
  [howItLearned, theCode, isItPca].forEach(later);
  if (page.map) later(betweenPictures);
  if ($("level")) later(denoising);
  if ($("count")) later(fewAtATime);
  if ($("draw")) fromThePrior();
  later(whatComesBack);
  addEventListener("beforeprint", () => {
    finish();
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
}

// A page inside a frame has no address of its own, where "#try" could lead.
function followLinks() {
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      show(link.getAttribute("href").slice(1));
    });
  }
}

// Scroll to a section, and let the keyboard go on from its heading.
function show(id) {
  const heading = $(`${id}-title`);
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  $(id).scrollIntoView();
}

// ---------------------------------------------------------------------------------------------------- try it

function tryIt() {
  const choose = $("choose");
  let original = null; // what the buttons change, to be brought back
  let clearPad = () => {};

  function pick(place) {
    choose.value = place;
    clearPad();
    original = { x: picture(place), name: name(place) };
    take(original.x, original.name);
  }

  options(choose, 0);
  choose.addEventListener("change", () => pick(Number(choose.value)));
  $("another").addEventListener("click", () => pick((Number(choose.value || -1) + 1) % page.shown.number.length));
  $("noise").addEventListener("click", () => take(damaged(yours.x, "gaussian", 0.2, yours.x.map(normal)), "With noise"));
  $("erase").addEventListener("click", () => take(erased(yours.x), "With a part erased"));
  $("undo").addEventListener("click", () => take(original.x, original.name));
  document.addEventListener("pick", (event) => pick(event.detail));
  if ($("pad")) {
    clearPad = drawing((x) => {
      choose.value = "";
      original = { x, name: "Your drawing" };
      take(x, original.name);
    });
  }
  pick(0);
}

function showTry() {
  paint($("input"), yours.x);
  paint($("output"), yours.output);
  paintBars($("bars"), yours.code);
  const mse = error(yours.x, yours.output);
  const beyond = page.percentiles.findIndex((value) => value > mse);
  const share = beyond < 0 ? "larger than that of any" : `larger than that of ${Math.max(0, beyond - 1)} in 100`;
  $("input").setAttribute("aria-label", yours.name);
  $("output").setAttribute("aria-label", `The reconstruction, with an error of ${short(mse)}`);
  $("input-name").textContent = yours.name;
  $("output-name").textContent = `Error ${short(mse)}`;
  $("verdict").textContent = `The error of your picture is ${short(mse)}, ${share} test pictures.`;
  mark("histogram", mse);
}

// A number from the standard normal distribution (Box & Muller 1958).
const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

// The picture as a corruption of this level makes it, with one random number for each pixel. It is not cut at black and
// white, though it is drawn so.
function damaged(x, corruption, level, random) {
  const [low, high] = page.range;
  const pixel = {
    gaussian: (value, i) => value + level * (high - low) * random[i],
    masking: (value, i) => (random[i] < level ? low : value),
    salt_and_pepper: (value, i) => (random[i] < level / 2 ? low : random[i] < level ? high : value),
  };
  return x.map(pixel[corruption]);
}

// The picture with a rectangle of half its height and width as dark as can be.
function erased(x) {
  const { height, width } = page.image;
  const top = Math.floor((Math.random() * height) / 2);
  const left = Math.floor((Math.random() * width) / 2);
  return x.map((value, i) => {
    const [down, right] = [(Math.floor(i / width) % height) - top, (i % width) - left];
    return down >= 0 && down < height / 2 && right >= 0 && right < width / 2 ? page.range[0] : value;
  });
}

// Let the reader draw on the pad; `drawn` gets every state of the drawing as a picture. Returns what clears the pad.
function drawing(drawn) {
  const pad = $("pad");
  const context = pad.getContext("2d", { willReadFrequently: true });
  const clear = () => context.clearRect(0, 0, pad.width, pad.height);
  let last = null; // where the pen was
  let fresh = true; // whether the next stroke begins a new drawing

  function at(event) {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
  }

  function stroke(event) {
    const point = at(event);
    Object.assign(context, { lineWidth: pad.width / 12, lineCap: "round", strokeStyle: "white" });
    context.beginPath();
    context.moveTo(...(last ?? point));
    context.lineTo(...point);
    context.stroke();
    last = point;
  }

  pad.addEventListener("pointerdown", (event) => {
    if (fresh) clear();
    fresh = false;
    pad.setPointerCapture(event.pointerId);
    stroke(event);
    drawn(prepared(context.getImageData(0, 0, pad.width, pad.height)));
  });
  pad.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const point of event.getCoalescedEvents?.() ?? [event]) stroke(point);
    stroke(event);
    drawn(prepared(context.getImageData(0, 0, pad.width, pad.height)));
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (last = null));
  return () => {
    clear();
    fresh = true;
  };
}

// A drawing as the pictures of the data set are: its longer side as long as theirs, its centre of mass where theirs is.
// Each pixel of the pad is a grain of ink. It falls between four pixels of the picture, and most of it on the nearest.
function prepared({ data, width, height }) {
  const ink = [];
  for (let place = 0; place < width * height; place++) {
    const amount = data[4 * place + 3] / 255;
    if (amount) ink.push({ x: place % width, y: Math.floor(place / width), amount });
  }
  const sum = (number) => ink.reduce((total, grain) => total + number(grain), 0);
  const most = (number) => ink.reduce((found, grain) => Math.max(found, number(grain)), -Infinity);
  const span = (axis) => most((grain) => grain[axis]) + most((grain) => -grain[axis]) + 1;
  const shrink = page.strokes.size / Math.max(span("x"), span("y"), width / 4); // a dot stays a dot
  const middle = (axis) => sum((grain) => grain.amount * grain[axis]) / sum((grain) => grain.amount);
  const [left, top] = ["x", "y"].map((axis, i) => page.strokes.centre[i] - 0.5 - shrink * middle(axis));
  const pixels = new Float32Array(page.image.width * page.image.height);
  for (const { x, y, amount } of ink) drop(pixels, x * shrink + left, y * shrink + top, amount * shrink ** 2);
  return scaled(pixels.map((value) => 255 * Math.min(1, value)));
}

// Let an amount of ink fall on a place between four pixels.
function drop(pixels, x, y, amount) {
  for (const row of [Math.floor(y), Math.floor(y) + 1]) {
    for (const column of [Math.floor(x), Math.floor(x) + 1]) {
      const inside = row >= 0 && row < page.image.height && column >= 0 && column < page.image.width;
      const share = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row));
      if (inside) pixels[row * page.image.width + column] += amount * share;
    }
  }
}

// ---------------------------------------------------------------------------------------------------- how it learned

function howItLearned() {
  const slider = $("epoch");
  function read() {
    const { epoch, train_mse: train, test_mse: test } = page.history[slider.value];
    const printed = page.published[slider.value];
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    $("epoch-values").textContent =
      `${epoch}: test ${short(test)}, training ${short(train)}` + (printed ? `, published ${printed.toFixed(2)}` : "");
    mark("learning", epoch);
  }
  slider.addEventListener("input", read);
  read();
}

// ---------------------------------------------------------------------------------------------------- what comes back

// The gallery grows picture by picture, so that the page is never busy for long.
function whatComesBack() {
  const sort = $("sort");
  const pictures = [];
  const arrange = () => {
    pictures.sort((a, b) => a[sort.value] - b[sort.value] || a.place - b.place);
    $("gallery").append(...pictures.map(({ item }) => item));
  };
  sort.addEventListener("change", arrange);
  for (const place of page.shown.number.keys()) {
    later(() => {
      pictures.push(comparison(place));
      $("gallery").append(pictures.at(-1).item);
    });
  }
  later(arrange);
}

// An item of the gallery, and by what it is sorted.
function comparison(place) {
  const x = picture(place);
  const output = decode(encode(x));
  const mse = error(x, output);
  const canvases = [make("canvas"), make("canvas")];
  [x, output].forEach((values, i) => paint(canvases[i], values));
  const button = make("button", { type: "button" }, ...canvases, make("span", { textContent: mse.toFixed(3) }));
  button.setAttribute("aria-label", `${name(place)}, error ${mse.toFixed(3)}: try it`);
  button.addEventListener("click", () => {
    document.dispatchEvent(new CustomEvent("pick", { detail: place }));
    show("try");
  });
  return { place, easy: mse, hard: -mse, label: page.shown.label?.[place] ?? 0, item: make("li", {}, button) };
}

// ---------------------------------------------------------------------------------------------------- the code

function theCode() {
  const { principal } = page;
  const asWritten = $("principal");
  const none = decode(page.limits.map(() => 0));
  let code = null;
  const ordered = () => Boolean(asWritten?.checked);
  // The numbers that the sliders show for a code, and what is added to the code for one more of number i.
  const coordinates = (z) => (ordered() ? linear(z, { weight: principal.to }) : z);
  const count = page.sliders;
  const direction = (i) => Float32Array.from(page.limits, (_, j) => (ordered() ? principal.back[j * count + i] : Number(i === j)));

  function draw() {
    paint($("decoded"), decode(code));
    const same = error(code, yours.code) < 1e-9;
    $("code-note").textContent = same ? `${yours.name}, as its code has it` : `${yours.name}, with a code that you changed`;
  }

  function move(i, value) {
    const change = value - coordinates(code)[i];
    const along = direction(i);
    code = code.map((number, j) => number + change * along[j]);
    draw();
  }

  const sliders = Array.from({ length: count }, (_, i) => {
    const [canvas, slider] = [make("canvas"), make("input", { type: "range" })];
    slider.addEventListener("input", () => move(i, Number(slider.value)));
    $("sliders").append(make("label", {}, make("span", { textContent: i + 1 }), canvas, slider));
    return { canvas, slider };
  });

  // How far each slider goes, and the picture of what it adds.
  function scale() {
    const limits = ordered() ? principal.limits : page.limits;
    sliders.forEach(({ canvas, slider }, i) => {
      Object.assign(slider, { min: -limits[i], max: limits[i], step: limits[i] / 100 });
      later(() => {
        const added = decode(direction(i).map((value) => value * limits[i]));
        paintSigned(canvas, added.map((value, place) => value - none[place]));
      });
    });
  }

  function set(z) {
    code = Float32Array.from(z);
    const shown = coordinates(code);
    sliders.forEach(({ slider }, i) => (slider.value = shown[i]));
    draw();
  }

  asWritten?.addEventListener("change", () => {
    scale();
    set(code);
  });
  $("recode").addEventListener("click", () => set(yours.code));
  $("zero").addEventListener("click", () => set(page.limits.map(() => 0)));
  scale();
  follow(() => set(yours.code));
}

// ---------------------------------------------------------------------------------------------------- is it PCA?

function isItPca() {
  const { axes } = page.pca;
  const rank = $("rank");

  function draw() {
    const size = yours.x.length;
    const kept = Number(rank.value);
    const [low, high] = page.range; // the axes are those of pictures from -1 to 1
    const x = yours.x.map((value) => (2 * (value - low)) / (high - low) - 1);
    const sum = new Float32Array(size);
    linear(x, { weight: axes.subarray(0, kept * size) }).forEach((amount, k) => {
      for (let i = 0; i < size; i++) sum[i] += amount * axes[k * size + i];
    });
    const result = sum.map((value) => low + ((high - low) * (value + 1)) / 2);
    paint($("pca-output"), result);
    $("pca-error").textContent = `Error ${short(error(yours.x, result))}`;
    $("rank-value").textContent = `${kept}: error ${short(page.pca.mse[kept])} on the test pictures`;
    mark("rank", kept);
  }

  rank.addEventListener("input", draw);
  follow(() => {
    paint($("pca-input"), yours.x);
    paint($("run-output"), yours.output);
    $("run-error").textContent = `Error ${short(error(yours.x, yours.output))}`;
    draw();
  });
}

// ---------------------------------------------------------------------------------------------------- between pictures

function betweenPictures() {
  const { points, axes } = page.map;
  const chart = $("chart-map");
  const frame = frameOf("map");
  const [across, up] = [$("map-x"), $("map-y")];
  let target = null;

  function walk() {
    const t = Number($("step").value) / 100;
    paint($("walk"), decode(between(yours.code, encode(target), t)));
    $("walk-note").textContent = `${Math.round(100 * t)} per cent of the way`;
  }

  function aim() {
    target = picture(Number($("target").value));
    paint($("walk-to"), decode(encode(target)));
    $("walk-name").textContent = name(Number($("target").value));
    walk();
  }

  // Decode the point (x, y) of the map.
  function visit(x, y) {
    const code = Float32Array.from(page.map.centre, (value, i) => value + x * axes[i] + y * axes[page.map.centre.length + i]);
    paint($("place"), decode(code));
    mark("map", x, y);
    const label = page.map.label ? ` The nearest test picture is of class ${page.map.label[nearest(x, y)]}.` : "";
    $("place-note").textContent = `Point ${x.toFixed(1)}, ${y.toFixed(1)}.${label}`;
  }

  function nearest(x, y) {
    const distances = page.map.label.map((_, i) => Math.hypot(points[2 * i] - x, points[2 * i + 1] - y));
    return distances.indexOf(Math.min(...distances));
  }

  function point(event) {
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    const value = ([low, high, from, to], place) => Math.max(low, Math.min(high, placed([from, to, low, high], place)));
    const [x, y] = [value(frame.x, spot.x), value(frame.y, spot.y)];
    [across.value, up.value] = [(100 * x) / frame.x[1], (100 * y) / frame.y[1]];
    visit(x, y);
  }

  chart.addEventListener("pointerdown", point);
  chart.addEventListener("pointermove", (event) => event.buttons && point(event));
  for (const slider of [across, up]) {
    slider.addEventListener("input", () => visit((across.value / 100) * frame.x[1], (up.value / 100) * frame.y[1]));
  }
  $("highlight")?.addEventListener("change", ({ target: { value } }) => {
    const dots = page.map.label.map((label, i) =>
      String(label) === value ? `M${placed(frame.x, points[2 * i])} ${placed(frame.y, points[2 * i + 1])}h0` : "");
    chart.querySelector(".chosen").setAttribute("d", dots.join("") || "M0 0");
  });
  options($("target"), 1);
  $("target").addEventListener("change", aim);
  $("step").addEventListener("input", walk);
  visit(0, 0);
  follow(() => {
    paint($("walk-from"), yours.output);
    aim();
  });
}

// ---------------------------------------------------------------------------------------------------- what the constraint does

function denoising() {
  const level = $("level");
  let random = null;

  function draw() {
    const input = damaged(yours.x, page.corruption.name, Number(level.value), random);
    const output = decode(encode(input));
    paint($("clean"), yours.x);
    paint($("damaged"), input);
    paint($("denoised"), output);
    $("damaged-error").textContent = `Level ${Number(level.value).toFixed(2)}, error ${short(error(yours.x, input))}`;
    $("denoised-error").textContent = `Error ${short(error(yours.x, output))}`;
    mark("levels", Number(level.value));
  }

  function drawAnew() {
    random = yours.x.map(page.corruption.name === "gaussian" ? normal : Math.random);
    draw();
  }

  level.addEventListener("input", draw);
  $("damage").addEventListener("click", drawAnew);
  follow(drawAnew);
}

function fewAtATime() {
  const count = $("count");

  function draw() {
    const size = (i) => Math.abs(yours.code[i]);
    const active = [...yours.code.keys()].filter(size).sort((a, b) => size(b) - size(a));
    count.max = active.length;
    const used = active.slice(0, Number(count.value));
    const sum = (units) => decode(yours.code.map((value, i) => (units.includes(i) ? value : 0)));
    const [before, after] = [sum(used.slice(0, -1)), sum(used)];
    paint($("whole"), yours.x);
    paint($("sum"), after);
    paintSigned($("atom"), after.map((value, i) => value - before[i]));
    $("atom-note").textContent = used.length ? `Number ${used.at(-1) + 1} of the code` : "None so far";
    $("sum-note").textContent = `${used.length} of ${active.length} active numbers, error ${short(error(yours.x, after))}`;
  }

  count.addEventListener("input", draw);
  follow(draw);
}

function fromThePrior() {
  $("draw").addEventListener("click", () => {
    for (const old of [...$("prior").children]) {
      const canvas = make("canvas");
      paint(canvas, decode(Float32Array.from(page.limits, normal)));
      old.replaceWith(canvas);
    }
  });
}

if (page) start();
