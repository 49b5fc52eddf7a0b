// The mask editor: what is painted over a picture shall change. The mask is made in OpenAI's way: transparent changes.

import { byId } from "./dom.js";

const MOST_STROKES = 200;

/** Draw one stroke: {points, width, erase}, in the picture's own pixels. */
function draw(context, stroke) {
  context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = stroke.width;
  context.strokeStyle = context.fillStyle = "#000";
  const [first, ...rest] = stroke.points;
  context.beginPath();
  context.arc(first.x, first.y, stroke.width / 2, 0, 2 * Math.PI);
  context.fill();
  context.beginPath();
  context.moveTo(first.x, first.y);
  for (const point of rest) context.lineTo(point.x, point.y);
  if (rest.length) context.stroke();
}

/** What the layer holds after a step: a stroke, "invert", "clear", or a picture. */
function step(context, done) {
  const { width, height } = context.canvas;
  if (done.kind === "stroke") draw(context, done);
  else if (done.kind === "clear") context.clearRect(0, 0, width, height);
  else if (done.kind === "invert") {
    context.globalCompositeOperation = "xor";
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
  } else {
    context.globalCompositeOperation = "copy";
    context.drawImage(done.layer, 0, 0, width, height);
  }
  context.globalCompositeOperation = "source-over";
}

/** A finished mask as a layer: where it is transparent, or, if it is opaque everywhere, where it is bright. */
async function layerOf(blob, width, height) {
  const bitmap = await createImageBitmap(blob);
  const layer = new OffscreenCanvas(width, height);
  const context = layer.getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height);
  const data = pixels.data;
  let opaque = true;
  for (let at = 3; at < data.length && opaque; at += 4) opaque = data[at] === 255;
  for (let at = 0; at < data.length; at += 4) {
    const marked = opaque ? data[at] + data[at + 1] + data[at + 2] >= 384 : data[at + 3] < 128;
    data[at] = data[at + 1] = data[at + 2] = 0;
    data[at + 3] = marked ? 255 : 0;
  }
  context.putImageData(pixels, 0, 0);
  return layer;
}

/** The dialogue in which a mask is painted. */
export class Brush {
  constructor() {
    this.dialog = byId("brush");
    this.canvas = byId("brush-canvas");
    this.ring = byId("brush-ring");
    this.context = this.canvas.getContext("2d");
    this.steps = [];
    this.base = null;
    this.stroke = null;
    this.at = { x: 0, y: 0 };
    this.#listen();
  }

  /** Close it, and keep nothing of what was painted or painted over. */
  clear() {
    this.dialog.close();
    byId("brush-picture").removeAttribute("src");
    this.canvas.width = this.canvas.height = 1;
    this.steps = [];
    this.base = null;
  }

  /** Paint over `picture`, beginning with an earlier mask if there is one. Gives the mask as a blob; null: never mind. */
  async open(picture, mask) {
    const image = byId("brush-picture");
    image.src = picture.url;
    this.canvas.width = picture.width;
    this.canvas.height = picture.height;
    byId("easel").style.aspectRatio = `${picture.width} / ${picture.height}`;
    byId("easel").style.setProperty("--shape", picture.width / picture.height);
    this.steps = [];
    this.base = mask ? await layerOf(mask.blob, picture.width, picture.height) : null;
    this.at = { x: picture.width / 2, y: picture.height / 2 };
    this.stroke = null;
    this.#redraw();
    this.dialog.showModal();
    this.#placeRing();
    this.canvas.focus();
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  #listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#lift());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    byId("brush-size").addEventListener("input", () => this.#placeRing());
    byId("brush-undo").addEventListener("click", () => this.#undo());
    byId("brush-invert").addEventListener("click", () => this.#do({ kind: "invert" }, "Inverted"));
    byId("brush-clear").addEventListener("click", () => this.#do({ kind: "clear" }, "Cleared"));
    byId("brush-file").addEventListener("change", (event) => this.#upload(event.target));
    byId("brush-cancel").addEventListener("click", () => this.dialog.close());
    byId("brush-done").addEventListener("click", () => this.#finish());
    this.dialog.addEventListener("close", () => this.resolve?.(null));
    window.addEventListener("resize", () => this.dialog.open && this.#placeRing());
  }

  /** The brush is so wide, in the picture's pixels: a share of its shorter side. */
  get width() {
    return (Number(byId("brush-size").value) / 100) * Math.min(this.canvas.width, this.canvas.height);
  }

  get erasing() {
    return this.dialog.querySelector("[name=brush-mode]:checked").value === "erase";
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.canvas.height,
    };
  }

  #down(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    this.at = this.#point(event);
    this.#begin();
  }

  #move(event) {
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) this.#go(this.#point(each));
  }

  /** The brush is elsewhere now; what lies between is painted if it is down. */
  #go(point) {
    const from = this.at;
    this.at = point;
    if (this.stroke) {
      this.stroke.points.push(point);
      draw(this.context, { ...this.stroke, points: [from, point] });
      this.context.globalCompositeOperation = "source-over";
    }
    this.#placeRing();
  }

  #begin() {
    this.stroke = { kind: "stroke", points: [this.at], width: this.width, erase: this.erasing };
    draw(this.context, this.stroke);
    this.context.globalCompositeOperation = "source-over";
    this.#placeRing();
  }

  #lift() {
    if (!this.stroke) return;
    this.#keep(this.stroke);
    this.stroke = null;
  }

  #key(event) {
    const far = (event.shiftKey ? 1 : 0.25) * Math.max(this.width, 4);
    const ways = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] };
    if (event.key === " ") {
      if (this.stroke) this.#lift();
      else this.#begin();
      this.#say(this.stroke ? "Brush down" : "Brush lifted");
    } else if (event.key in ways) {
      const [x, y] = ways[event.key];
      const within = (value, most) => Math.min(Math.max(value, 0), most);
      this.#go({ x: within(this.at.x + x, this.canvas.width), y: within(this.at.y + y, this.canvas.height) });
      this.#say(`${Math.round(this.at.x)}, ${Math.round(this.at.y)}`);
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      this.#undo();
    } else return;
    event.preventDefault();
  }

  #do(done, said) {
    this.#lift();
    step(this.context, done);
    this.#keep(done);
    this.#say(said);
  }

  /** Remember a step; beyond many, the oldest become part of the ground and can not be undone. */
  #keep(done) {
    this.steps.push(done);
    if (this.steps.length <= MOST_STROKES) return;
    const ground = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const context = ground.getContext("2d");
    if (this.base) step(context, { kind: "layer", layer: this.base });
    step(context, this.steps.shift());
    this.base = ground;
  }

  #undo() {
    this.#lift();
    this.#say(this.steps.pop() ? "Undone" : "There is nothing to undo");
    this.#redraw();
  }

  #redraw() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.base) step(this.context, { kind: "layer", layer: this.base });
    for (const done of this.steps) step(this.context, done);
  }

  async #upload(input) {
    const file = input.files[0];
    input.value = "";
    if (!file) return;
    try {
      this.#do({ kind: "layer", layer: await layerOf(file, this.canvas.width, this.canvas.height) }, "The mask is there");
    } catch {
      this.#say("This mask can not be opened.");
    }
  }

  /** The ring shows where the brush is and how wide. */
  #placeRing() {
    const box = this.canvas.getBoundingClientRect();
    const scale = box.width / this.canvas.width;
    Object.assign(this.ring.style, {
      width: `${this.width * scale}px`,
      height: `${this.width * scale}px`,
      left: `${this.at.x * scale}px`,
      top: `${this.at.y * scale}px`,
    });
    this.ring.classList.toggle("down", Boolean(this.stroke));
  }

  #say(text) {
    byId("brush-said").textContent = text;
  }

  /** Black where the picture stays, transparent where it changes. */
  #finish() {
    this.#lift();
    const mask = new OffscreenCanvas(this.canvas.width, this.canvas.height);
    const context = mask.getContext("2d");
    context.fillRect(0, 0, mask.width, mask.height);
    context.globalCompositeOperation = "destination-out";
    context.drawImage(this.canvas, 0, 0);
    const resolve = this.resolve;
    this.resolve = null;
    mask.convertToBlob({ type: "image/png" }).then(resolve);
    this.dialog.close();
  }
}
