"use strict";

// Two versions of a picture, one over the other or side by side, drawn to the pixel.
//
// Zoom is in pixels of the screen for a pixel of the picture, so 1 is exact on every screen; above
// 1 it is a whole number. Places are in pixels of the picture.

const ZOOMS = [
  1 / 64, 1 / 48, 1 / 32, 1 / 24, 1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3,
  1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64,
];
const Y_WEIGHTS = [65.738 / 256, 129.057 / 256, 25.064 / 256]; // as in evaluation/metrics.py
const BAND_PIXELS = 2 ** 20; // read at a time
const LOUPE_PIXELS = 15; // a side
const AS_IN_THE_FILE = { colorSpaceConversion: "none", premultiplyAlpha: "none" }; // samples
const BASE_85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%,()*+-;.=/?@^_`{|}~";
const FINEST_STEP = 0.02; // of the slider, with a key

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

let truth; // see below

/** Whether pages may read pixels as they are. Some browsers change them, so that nobody is known by them. */
function readsTruly() {
  if (truth !== undefined) return truth;
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const wanted = context.createImageData(64, 64);
  for (let place = 0; place < wanted.data.length; place++) {
    wanted.data[place] = place % 4 === 3 ? 255 : (place * place) >> 4;
  }
  context.putImageData(wanted, 0, 0);
  const read = context.getImageData(0, 0, 64, 64).data;
  truth = read.every((value, place) => value === wanted.data[place]);
  return truth;
}

const UNTRUE = "This browser changes the values of pixels that a page reads, against fingerprinting:";

const arriving = new Map();

/** What pictures beside the page call: a page of a file may run scripts, but read no pixels. */
function edsrPicture(name, uri) {
  arriving.get(name)?.(uri);
}

function fetched(address) {
  return new Promise((resolve, reject) => {
    const name = address.split("/").pop();
    const script = document.createElement("script");
    arriving.set(name, resolve);
    script.onerror = () => reject(new Error(`${decodeURI(address)} is missing: it belongs to this page.`));
    script.src = address;
    document.head.append(script);
  });
}

function blobOf(uri) {
  const [head, data] = uri.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5, head.indexOf(";")) });
}

/** What pictures.py calls base85, as bytes: five letters are four of them. */
function bytesOf(letters) {
  const values = new Uint8Array(128);
  for (const [value, letter] of [...BASE_85].entries()) values[letter.charCodeAt(0)] = value;
  const words = new DataView(new ArrayBuffer(4 * Math.ceil(letters.length / 5)));
  for (let place = 0, word = 0; place < letters.length || place % 5; ) {
    word = word * 85 + (place < letters.length ? values[letters.charCodeAt(place)] : 84);
    if (++place % 5) continue;
    words.setUint32((place / 5 - 1) * 4, word);
    word = 0;
  }
  return new Uint8Array(words.buffer, 0, Math.floor((letters.length * 4) / 5));
}

/** Samples of two pictures of one size, added modulo 256, as a canvas. */
function sum(first, second) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [second.width, second.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [made, added] = [first, second].map((image) => {
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  });
  for (let place = 0; place < made.data.length; place += 4) {
    for (let channel = place; channel < place + 3; channel++) {
      made.data[channel] = (made.data[channel] + added.data[channel]) & 255;
    }
  }
  context.putImageData(made, 0, 0);
  return canvas;
}

/** One version of a picture. Its pixels may be larger than those of the picture (a smaller size). */
class Version {
  /**
   * @param made label; uri, or address of a script with it; tagged: whether it has a profile; or,
   *   of a difference in base 85, the version that its samples are to be added to, as base.
   */
  constructor({ label, uri = "", address = "", tagged = false, difference, base }) {
    Object.assign(this, { label, uri, address, tagged, difference, base });
  }

  load() {
    this.loading ??= this.read();
    return this.loading;
  }

  async read() {
    if (this.base) {
      if (!readsTruly()) throw new Error(`${UNTRUE} what the page holds as a difference cannot be shown.`);
      await this.base.load();
      const change = await createImageBitmap(new Blob([bytesOf(this.difference)]), AS_IN_THE_FILE);
      this.image = sum(this.base.raw, change);
      change.close();
    } else {
      this.image = new Image();
      this.image.src = this.uri || (await fetched(this.address));
      await this.image.decode();
    }
    this.width = this.image.naturalWidth ?? this.image.width;
    // What is measured are the samples of the file, not what a screen makes of them.
    this.raw = this.tagged ? await createImageBitmap(blobOf(this.image.src), AS_IN_THE_FILE) : this.image;
  }
}

/** What `Viewer.show` takes, from an element with the figures of versions.html.jinja. */
function pictureIn(element) {
  const { name, width, height, border, reference } = element.dataset;
  const versions = [];
  for (const figure of element.querySelectorAll("figure[data-label]")) {
    const { label, address, base, difference, tagged } = figure.dataset;
    const uri = figure.querySelector("img")?.src;
    versions.push(new Version({ label, uri, address, tagged: tagged !== undefined, difference, base: versions[base] }));
  }
  return {
    name, versions,
    width: Number(width), height: Number(height), border: Number(border),
    reference: reference === undefined ? undefined : versions.at(-1),
  };
}

class Viewer {
  /**
   * @param root the element that the macro `viewer` gives.
   * @param scope whose keys are heard.
   */
  constructor(root, scope = document) {
    const find = (selector) => root.querySelector(selector);
    this.root = root;
    this.stage = find(".stage");
    this.canvas = find(".picture");
    this.handle = find(".handle");
    this.loupe = find(".loupe");
    this.status = find(".status");
    this.names = [find(".name.first"), find(".name.second")];
    this.selects = [find("select.left"), find("select.right")];
    this.modes = find("select.mode");
    this.gain = find(".gain input");
    this.factor = find(".zoom output");
    this.magnify = find(".magnify");
    this.work = document.createElement("canvas");
    this.samples = this.work.getContext("2d", { willReadFrequently: true });
    this.shade = document.createElement("canvas");
    this.pair = [];
    this.split = 0.5;
    this.alone = null; // the side that is shown alone, 0 or 1
    this.fitting = true;
    this.pointers = new Map();
    this.turned = 0; // of the wheel
    this.listen(scope, find);
  }

  /**
   * Show a picture.
   * @param picture name, width, height, versions; reference: the version to measure against, or
   *   undefined; border: pixels at its sides that are not measured.
   * @param left, right: numbers of versions.
   */
  show(picture, left, right) {
    this.picture = picture;
    const wide = picture.versions.some((each) => each.tagged) && matchMedia("(color-gamut: p3)").matches;
    this.context ??= this.canvas.getContext("2d", { colorSpace: wide ? "display-p3" : "srgb" });
    for (const select of this.selects) {
      select.replaceChildren(
        ...picture.versions.map((each, n) => new Option(`${n + 1}  ${each.label}`, String(n))),
      );
    }
    this.root.hidden = false;
    this.stage.style.aspectRatio = `${picture.width} / ${picture.height}`;
    this.alone = null;
    this.fitting = true;
    this.x = picture.width / 2;
    this.y = picture.height / 2;
    this.point = null;
    return this.choose(left, right);
  }

  /** Take two versions by their numbers; undefined keeps one. */
  async choose(left, right) {
    const chosen = [left ?? this.numbers[0], right ?? this.numbers[1]];
    this.numbers = chosen;
    this.root.dataset.state = "loading";
    const pair = chosen.map((number) => this.picture.versions[number]);
    const reference = this.picture.reference;
    try {
      await Promise.all([...pair, ...(reference ? [reference] : [])].map((each) => each.load()));
    } catch (error) {
      this.root.dataset.state = "failed";
      this.status.textContent = error.message;
      return;
    }
    if (this.numbers !== chosen) return; // others were chosen meanwhile
    this.pair = pair;
    for (const side of [0, 1]) {
      this.selects[side].value = String(chosen[side]);
      this.names[side].textContent = pair[side].label;
    }
    this.root.dataset.state = "ready";
    this.root.dispatchEvent(new Event("chosen"));
    this.redraw();
  }

  /** Where one is, for another viewer of the same picture. */
  get place() {
    const { x, y, zoom, fitting, split, alone, mode } = this;
    return { x, y, zoom, fitting, split, alone, mode, gain: this.gain.value, loupe: this.magnify.ariaPressed };
  }

  set place({ mode, gain, loupe, ...rest }) {
    Object.assign(this, rest);
    this.modes.value = mode;
    this.gain.value = gain;
    this.magnify.ariaPressed = loupe;
    this.redraw();
  }

  // What is seen.

  get mode() {
    return this.modes.value;
  }

  get differs() {
    return this.mode === "signed" || this.mode === "absolute";
  }

  /** Parts of the canvas from left to right; in each, the picture lies within a view. */
  panes() {
    const { width } = this.canvas;
    if (this.mode === "beside") {
      const half = Math.floor(width / 2);
      return [
        { side: 0, left: 0, right: half, view: [0, half] },
        { side: 1, left: half, right: width, view: [half, width] },
      ];
    }
    const share = this.alone === null ? this.split : 1 - this.alone;
    const edge = this.differs ? width : Math.round(share * width);
    return [
      { side: 0, left: 0, right: edge, view: [0, width] },
      { side: 1, left: edge, right: width, view: [0, width] },
    ];
  }

  /** Where the upper left corner of the picture is, for a pane: on a pixel of the screen. */
  corner(pane) {
    const { width, height } = this.picture;
    const place = (from, to, centre, length) => {
      const least = Math.floor((from + to) / 2) - Math.round(centre * this.zoom);
      const spare = Math.floor(to - from - length * this.zoom + 1e-6);
      return this.fitting ? clamp(least, from, from + Math.max(0, spare)) : least;
    };
    return [place(...pane.view, this.x, width), place(0, this.canvas.height, this.y, height)];
  }

  /** The part of the picture that is seen in a pane: left, top, right, bottom. */
  seen(pane) {
    const [left, top] = this.corner(pane);
    const { width, height } = this.picture;
    return [
      clamp(Math.floor((pane.left - left) / this.zoom), 0, width),
      clamp(Math.floor(-top / this.zoom), 0, height),
      clamp(Math.ceil((pane.right - left) / this.zoom), 0, width),
      clamp(Math.ceil((this.canvas.height - top) / this.zoom), 0, height),
    ];
  }

  /** What is seen in all. */
  get view() {
    const [first] = this.panes();
    return this.seen({ ...first, left: first.view[0], right: first.view[1] });
  }

  redraw() {
    this.due ??= requestAnimationFrame(() => {
      this.due = null;
      if (this.root.dataset.state === "ready" && this.canvas.width) this.draw();
    });
  }

  draw() {
    const { context, canvas } = this;
    if (this.fitting) this.zoom = this.fit();
    this.settle();
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (const pane of this.panes()) {
      if (pane.right <= pane.left) continue;
      context.save();
      context.beginPath();
      context.rect(pane.left, 0, pane.right - pane.left, canvas.height);
      context.clip();
      if (this.differs) this.drawDifference(pane);
      else this.drawVersion(this.pair[pane.side], pane);
      context.restore();
    }
    if (this.mode === "beside") {
      context.fillStyle = "#fff";
      context.fillRect(Math.round(canvas.width / 2) - 1, 0, 2, canvas.height);
    }
    this.tell();
    this.drawLoupe();
  }

  drawVersion(version, pane) {
    const ratio = version.width / this.picture.width;
    // Whole pixels of a version that has fewer, so that none is cut.
    const step = ratio < 1 ? Math.round(1 / ratio) : 1;
    let [left, top, right, bottom] = this.seen(pane);
    [left, top] = [left, top].map((each) => Math.floor(each / step) * step);
    right = Math.min(Math.ceil(right / step) * step, this.picture.width);
    bottom = Math.min(Math.ceil(bottom / step) * step, this.picture.height);
    if (right <= left || bottom <= top) return;
    const [x, y] = this.corner(pane);
    this.context.imageSmoothingEnabled = this.zoom < ratio;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(
      version.image,
      left * ratio, top * ratio, (right - left) * ratio, (bottom - top) * ratio,
      x + left * this.zoom, y + top * this.zoom, (right - left) * this.zoom, (bottom - top) * this.zoom,
    );
  }

  /** The samples of a part of a version, at a size in pixels: none is mixed with another. */
  read(version, [left, top, right, bottom], width, height) {
    const ratio = version.width / this.picture.width;
    if (this.work.width < width) this.work.width = width;
    if (this.work.height < height) this.work.height = height;
    this.samples.imageSmoothingEnabled = false;
    this.samples.drawImage(
      version.raw,
      left * ratio, top * ratio, (right - left) * ratio, (bottom - top) * ratio,
      0, 0, width, height,
    );
    return this.samples.getImageData(0, 0, width, height).data;
  }

  drawDifference(pane) {
    const seen = this.seen(pane);
    const [left, top, right, bottom] = seen;
    if (right <= left || bottom <= top) return;
    const size = [right - left, bottom - top].map((each) =>
      Math.max(1, Math.round(each * Math.min(1, this.zoom))),
    );
    const [first, second] = this.pair.map((version) => this.read(version, seen, ...size));
    const made = new ImageData(...size);
    const gain = 2 ** this.gain.value;
    const signed = this.mode === "signed";
    for (let place = 0; place < made.data.length; place += 4) {
      for (let channel = place; channel < place + 3; channel++) {
        const difference = gain * (second[channel] - first[channel]);
        made.data[channel] = signed ? 128 + difference : Math.abs(difference); // clamped by itself
      }
      made.data[place + 3] = 255;
    }
    [this.shade.width, this.shade.height] = size;
    this.shade.getContext("2d").putImageData(made, 0, 0);
    const [x, y] = this.corner(pane);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(
      this.shade,
      x + left * this.zoom, y + top * this.zoom, (right - left) * this.zoom, (bottom - top) * this.zoom,
    );
  }

  /** Both versions around a pixel, large, and its values. */
  drawLoupe() {
    const shown = this.magnify.ariaPressed === "true";
    this.loupe.hidden = !shown;
    if (!shown) return;
    const { width, height } = this.picture;
    const [x, y] = (this.point ?? [this.x, this.y]).map((each, axis) =>
      clamp(Math.floor(each), 0, (axis ? height : width) - 1),
    );
    const half = (LOUPE_PIXELS - 1) / 2;
    const cell = Math.max(4, Math.round((8 * devicePixelRatio * 17) / LOUPE_PIXELS));
    const side = cell * LOUPE_PIXELS;
    const [canvas, caption] = this.loupe.children;
    [canvas.width, canvas.height] = [2 * side, side];
    const context = canvas.getContext("2d");
    const around = [x - half, y - half, x + half + 1, y + half + 1];
    const inside = around.map((each, n) => clamp(each, 0, n % 2 ? height : width));
    const [left, top, right, bottom] = inside;
    const values = this.pair.map((version, n) => {
      const data = this.read(version, inside, right - left, bottom - top);
      [this.shade.width, this.shade.height] = [right - left, bottom - top];
      this.shade.getContext("2d").putImageData(new ImageData(data, right - left), 0, 0);
      context.imageSmoothingEnabled = false;
      context.drawImage(
        this.shade,
        n * side + (left - around[0]) * cell, (top - around[1]) * cell,
        (right - left) * cell, (bottom - top) * cell,
      );
      context.strokeStyle = "#fff";
      context.strokeRect(n * side + half * cell + 0.5, half * cell + 0.5, cell - 1, cell - 1);
      const place = 4 * ((y - top) * (right - left) + x - left);
      return [...data.slice(place, place + 3)].join(" ");
    });
    caption.textContent = `${x}, ${y}:  ${values[0]}  |  ${values[1]}`;
  }

  /** Say what is seen, in words, and soon how good it is. */
  tell() {
    const { width } = this.canvas;
    const sliding = this.mode === "slider" && this.alone === null;
    this.handle.hidden = !sliding;
    this.handle.style.left = `${100 * this.split}%`;
    this.handle.ariaValueNow = String(Math.round(100 * this.split));
    this.names[0].hidden = this.alone === 1;
    this.names[1].hidden = this.alone === 0;
    this.gain.parentElement.hidden = !this.differs;
    this.gain.nextElementSibling.value = `×${2 ** this.gain.value}`;
    this.factor.value = this.zoom < 1 ? `${(100 * this.zoom).toPrecision(3)} %` : `×${this.zoom}`;
    const [first, second] = this.pair.map((each) => each.label);
    const views = {
      slider: this.alone === null ? `${first}, left; ${second}, right` : this.pair[this.alone].label,
      beside: `${first} beside ${second}`,
      signed: `${second} minus ${first}: grey where they are equal`,
      absolute: `${second} against ${first}: black where they are equal`,
    };
    this.canvas.ariaLabel = `${this.picture.name}: ${views[this.mode]}`;
    if (!width) return;
    const [left, top, right, bottom] = this.view;
    const place = `${Math.max(0, right - left)} × ${Math.max(0, bottom - top)} pixels at ${left}, ${top}`;
    const before = this.differs ? `${views[this.mode]}. ` : "";
    this.words = `${before}In view: ${place}.`;
    clearTimeout(this.later);
    this.later = setTimeout(() => this.measure(), 250);
  }

  async measure() {
    const { reference, border, width, height } = this.picture;
    const { words } = this;
    const said = [words];
    let [left, top, right, bottom] = this.view;
    if (!readsTruly()) {
      said.push(`${UNTRUE} differences and the loupe are wrong, and nothing is measured.`);
    } else if (reference) {
      [left, top] = [Math.max(left, border), Math.max(top, border)];
      [right, bottom] = [Math.min(right, width - border), Math.min(bottom, height - border)];
      const figures = [];
      for (const version of new Set(this.pair)) {
        if (version === reference || right <= left || bottom <= top) continue;
        const value = await this.psnr(version, [left, top, right, bottom], () => this.words === words);
        if (this.words !== words) return;
        figures.push(`${version.label} ${value.toFixed(2)} dB`);
      }
      if (figures.length) said.push(`PSNR (Y) here: ${figures.join(", ")}.`);
    }
    this.status.textContent = said.join(" ");
  }

  /** PSNR of luma against the reference in a part of the picture; in dB. */
  async psnr(version, [left, top, right, bottom], wanted) {
    const { reference } = this.picture;
    const [red, green, blue] = Y_WEIGHTS;
    const rows = Math.max(1, Math.floor(BAND_PIXELS / (right - left)));
    let total = 0;
    for (let row = top; row < bottom && wanted(); row += rows) {
      const part = [left, row, right, Math.min(row + rows, bottom)];
      const size = [right - left, part[3] - row];
      const made = this.read(version, part, ...size);
      const true_ = this.read(reference, part, ...size);
      for (let n = 0; n < made.length; n += 4) {
        const difference =
          red * (made[n] - true_[n]) +
          green * (made[n + 1] - true_[n + 1]) +
          blue * (made[n + 2] - true_[n + 2]);
        total += difference * difference;
      }
      await new Promise((resume) => setTimeout(resume)); // for keys and pointers
    }
    return 10 * Math.log10((255 * 255 * (right - left) * (bottom - top)) / total);
  }

  // Where one is.

  /** The zoom that shows all of the picture. */
  fit() {
    const panes = this.mode === "beside" ? 2 : 1;
    const { width, height } = this.picture;
    const zoom = Math.min(this.canvas.width / panes / width, this.canvas.height / height);
    return zoom > 1 ? Math.floor(zoom) : zoom;
  }

  /** Keep the picture in sight; on a whole pixel where pixels are to be seen. */
  settle() {
    this.x = clamp(this.x, 0, this.picture.width);
    this.y = clamp(this.y, 0, this.picture.height);
  }

  /** Zoom, and keep a point where it is: by default the middle. */
  zoomTo(zoom, at = null) {
    const old = this.zoom;
    this.fitting = false;
    this.zoom = clamp(zoom >= 1 ? Math.round(zoom) : zoom, ZOOMS[0], ZOOMS.at(-1));
    if (at) {
      this.x = at[0] + ((this.x - at[0]) * old) / this.zoom;
      this.y = at[1] + ((this.y - at[1]) * old) / this.zoom;
    }
    this.redraw();
  }

  /** The next zoom in a direction. */
  step(direction, at = null) {
    const rising = direction > 0 ? ZOOMS : [...ZOOMS].reverse();
    const next = rising.find((each) => (each - this.zoom) * direction > 1e-9);
    if (next) this.zoomTo(next, at);
  }

  move(x, y) {
    this.fitting = false;
    this.x += x;
    this.y += y;
    this.redraw();
  }

  /** The point of the picture that an event is at. */
  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    const place = (event.clientX - box.left) * scale;
    const panes = this.panes();
    const pane = this.mode === "beside" && place >= panes[1].left ? panes[1] : panes[0];
    const [left, top] = this.corner(pane);
    return [(place - left) / this.zoom, ((event.clientY - box.top) * scale - top) / this.zoom];
  }

  slide(split) {
    this.split = clamp(split, 0, 1);
    this.alone = null;
    this.redraw();
  }

  // What people do.

  listen(scope, find) {
    const on = (element, kind, act, options) => element.addEventListener(kind, act, options);
    const redraw = () => this.redraw();
    on(this.selects[0], "change", () => this.choose(Number(this.selects[0].value), undefined));
    on(this.selects[1], "change", () => this.choose(undefined, Number(this.selects[1].value)));
    on(find(".swap"), "click", () => this.swap());
    on(this.modes, "change", redraw);
    on(this.gain, "input", redraw);
    on(find(".in"), "click", () => this.step(1));
    on(find(".out"), "click", () => this.step(-1));
    on(find(".exact"), "click", () => this.zoomTo(1));
    on(find(".fit"), "click", () => this.showAll());
    on(this.magnify, "click", () => this.toggleLoupe());
    on(scope, "keydown", (event) => this.press(event));
    on(this.canvas, "wheel", (event) => {
      event.preventDefault();
      // A wheel tells of a notch at once, a touchpad of many small moves; Ctrl stands for a pinch.
      this.turned += event.deltaY * (event.ctrlKey ? 8 : 1);
      if (Math.abs(this.turned) < 50) return;
      this.step(this.turned < 0 ? 1 : -1, this.pointOf(event));
      this.turned = 0;
    }, { passive: false });
    on(this.handle, "pointerdown", (event) => this.handle.setPointerCapture(event.pointerId));
    on(this.handle, "pointermove", (event) => {
      if (!this.handle.hasPointerCapture(event.pointerId)) return;
      const box = this.canvas.getBoundingClientRect();
      this.slide((event.clientX - box.left) / box.width);
    });
    on(this.canvas, "pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
      this.stage.classList.add("moving");
    });
    on(this.canvas, "pointermove", (event) => this.follow(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      on(this.canvas, kind, (event) => {
        this.pointers.delete(event.pointerId);
        if (!this.pointers.size) this.stage.classList.remove("moving");
        if (this.pointers.size === 1) this.zoomTo(this.zoom); // to a whole number after a pinch
      });
    }
    new ResizeObserver(() => this.resize()).observe(this.stage);
    on(window, "resize", () => this.resize()); // also when the pixels of the screen change
  }

  /** As many pixels as the screen has in the stage, in whole ones, wherever that begins. */
  resize() {
    const ratio = devicePixelRatio;
    for (const [side, length] of [["width", this.stage.clientWidth], ["height", this.stage.clientHeight]]) {
      const pixels = Math.floor(length * ratio);
      if (this.canvas[side] === pixels) continue;
      this.canvas[side] = pixels;
      this.canvas.style[side] = `${pixels / ratio}px`;
    }
    this.redraw();
  }

  /** A pointer moves: it drags, pinches with another one, or only points. */
  follow(event) {
    if (this.root.dataset.state !== "ready") return;
    const before = this.pointers.get(event.pointerId);
    this.point = this.pointOf(event);
    const box = this.canvas.getBoundingClientRect();
    this.loupe.classList.toggle("away", event.clientX < box.left + box.width / 2);
    if (before) {
      const scale = this.canvas.width / box.width / this.zoom;
      const share = 1 / this.pointers.size;
      const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
      if (other) {
        const reach = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
        const zoom = clamp((this.zoom * reach(event)) / Math.max(1, reach(before)), ZOOMS[0], ZOOMS.at(-1));
        const [x, y] = this.pointOf(other);
        this.x = x + ((this.x - x) * this.zoom) / zoom;
        this.y = y + ((this.y - y) * this.zoom) / zoom;
        this.zoom = zoom;
      }
      this.pointers.set(event.pointerId, event);
      this.move(
        share * (before.clientX - event.clientX) * scale,
        share * (before.clientY - event.clientY) * scale,
      );
    } else if (!this.loupe.hidden) {
      this.redraw();
    }
  }

  press(event) {
    const { target, key } = event;
    if (!this.picture || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches?.("select, input, textarea")) return;
    if (key === " " && target.matches?.("button, summary, a")) return;
    const number = /^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1];
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0];
    if (number) {
      if (number > this.picture.versions.length) return;
      if (event.shiftKey) this.choose(number - 1, undefined);
      else this.choose(undefined, number - 1);
    } else if (dx && target === this.handle) {
      this.slide(this.split + dx * FINEST_STEP);
    } else if (dx || dy) {
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(this.canvas.height / this.zoom / 10));
      this.move(dx * step, dy * step);
    } else {
      const acts = {
        " ": () => this.blink(),
        Escape: () => this.slide(this.split),
        "+": () => this.step(1),
        "=": () => this.step(1),
        "-": () => this.step(-1),
        0: () => this.showAll(),
        s: () => this.swap(),
        v: () => this.nextMode(),
        l: () => this.toggleLoupe(),
        "[": () => this.amplify(-1),
        "]": () => this.amplify(1),
      };
      if (!acts[key]) return;
      if (key === "Escape" && this.alone === null) return; // it may close a dialog
      acts[key]();
    }
    event.preventDefault();
  }

  /** Show one side alone, and then the other. */
  blink() {
    this.modes.value = "slider";
    this.alone = this.alone === 0 ? 1 : 0;
    this.redraw();
  }

  swap() {
    this.choose(this.numbers[1], this.numbers[0]);
  }

  showAll() {
    this.fitting = true;
    this.x = this.picture.width / 2;
    this.y = this.picture.height / 2;
    this.redraw();
  }

  nextMode() {
    this.modes.selectedIndex = (this.modes.selectedIndex + 1) % this.modes.length;
    this.redraw();
  }

  amplify(direction) {
    this.gain.value = Number(this.gain.value) + direction;
    this.redraw();
  }

  toggleLoupe() {
    this.magnify.ariaPressed = String(this.magnify.ariaPressed !== "true");
    this.redraw();
  }
}
