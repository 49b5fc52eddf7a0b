// The form: what the chosen alias can be asked for, and the wish that was written into it.

import { choices } from "./api.js";
import { byId, fill, make, words } from "./dom.js";
import { whoWorksOn } from "./inputs.js";
import { allowedOf, numberOf } from "./numbers.js";
import { Slot } from "./pictures.js";

const PICTURES = { image: "Picture", mask: "Mask", references: "Reference picture" };
const PLACES = { aspect_ratio: "size", width: "size", height: "size", style_image: "references", model: "model" };
const FIRST = ["quality", "style", "mask_prompt"];

/** Something is wrong in a field, or still missing; shown there. `nearest` is what would be right. */
export class FieldProblem extends Error {
  constructor(field, message, { missing = false, nearest = null } = {}) {
    super(message);
    Object.assign(this, { field, missing, nearest });
  }
}

/** The form of the playground. `changed` is called after every change; `paint(picture, mask)` opens the brush. */
export class Form {
  constructor({ changed, paint }) {
    this.changed = changed;
    this.known = new Map();
    this.slots = {};
    this.facts = null;
    this.hinted = null;
    for (const [name, label] of Object.entries(PICTURES)) {
      this.slots[name] = new Slot(name, label, () => this.#pictureChanged(name));
    }
    byId("pictures").append(...Object.values(this.slots).map((slot) => slot.element));
    this.#offerBrush(paint);
    byId("model").addEventListener("change", () => this.choose(byId("model").value));
    byId("task").addEventListener("change", () => this.#showTask());
    byId("size").addEventListener("change", () => this.#otherSize());
    byId("dice").addEventListener("click", () => this.#throwDice());
    byId("form").addEventListener("input", (event) => {
      this.clearProblem(event.target.closest(".field")?.id.slice(3));
      this.changed();
    });
  }

  /** Every name that may be asked: aliases first, single deployments below. */
  setNames(models) {
    this.names = models;
    const group = (label, kind) => {
      const those = models.filter((model) => model.lascaux.kind === kind);
      return those.length ? make("optgroup", { label }, ...those.map((model) => make("option", { value: model.id }, model.id))) : null;
    };
    fill(byId("model"), group("Aliases", "alias"), group("Deployments", "deployment"));
  }

  /** Others who can do a task. */
  othersFor(task, alias) {
    const able = this.names.filter((model) => model.id !== alias && model.lascaux.tasks.includes(task));
    return able.map((model) => model.id);
  }

  /** Show what an alias can be asked for. */
  async choose(alias, task = byId("task").value) {
    byId("model").value = alias;
    await this.#know(alias);
    if (byId("model").value !== alias) return; // somebody was quicker
    this.facts = this.known.get(alias);
    const tasks = Object.keys(this.facts.tasks);
    fill(byId("task"), tasks.map((name) => make("option", { value: name }, words(name))));
    byId("task").value = tasks.includes(task) ? task : (tasks[0] ?? "");
    const behind = this.facts.lifecycle.map((one) => (one.stage === "eol" ? `${one.name} (retired)` : one.name));
    byId("about-model").textContent = [...new Set(behind)].join(", ");
    this.#showTask();
  }

  /** The choices of an alias, asked for once. */
  async #know(alias) {
    if (!this.known.has(alias)) this.known.set(alias, await choices(alias));
    return this.known.get(alias);
  }

  get task() {
    return this.facts?.tasks[byId("task").value] ?? null;
  }

  #showTask() {
    const task = this.task;
    if (!task) return;
    for (const [name, slot] of Object.entries(this.slots)) {
      slot.element.hidden = task[name] === "no";
      const described = name === "mask" && task.options.some((one) => one.name === "mask_prompt");
      slot.choice.textContent = task[name] === "optional" ? (described ? ", or words for it below" : ", if you like") : "";
    }
    byId("at-prompt").hidden = task.prompt === "no";
    byId("at-negative_prompt").hidden = !task.negative_prompt;
    byId("at-seed").hidden = !task.seed;
    byId("at-n").hidden = task.max_n < 2;
    byId("n").max = task.max_n;
    this.#showSizes(task);
    this.#showOptions(task);
    this.changed();
  }

  #showSizes(task) {
    const kept = byId("size").value;
    const option = (value, text) => make("option", { value }, text);
    const group = (label, kind, values) =>
      values.length ? make("optgroup", { label }, ...values.map((value) => option(`${kind}=${value}`, value.replace("x", " × ")))) : null;
    fill(
      byId("size"),
      option("", task.default_size ? `Default, ${task.default_size.replace("x", " × ")}` : "Default"),
      group("Shape", "aspect_ratio", task.aspect_ratios),
      group("Pixels", "size", task.sizes),
      task.size_range ? option("other", "Other …") : null,
    );
    byId("at-size").hidden = !(task.sizes.length || task.aspect_ratios.length || task.size_range);
    byId("size").value = [...byId("size").options].some((one) => one.value === kept) ? kept : "";
    this.#otherSize();
  }

  #otherSize() {
    byId("size-other").hidden = byId("size").value !== "other";
  }

  #showOptions(task) {
    const kept = this.#optionValues();
    const own = (name, values) => (values.length ? [{ name, type: "choice", choices: values, required: false }] : []);
    const all = [...own("quality", task.quality), ...own("style", task.style), ...task.options];
    const first = all.filter((one) => one.required || FIRST.includes(one.name));
    fill(byId("first-options"), first.map((one) => this.#option(one, kept[one.name])));
    fill(byId("options"), all.filter((one) => !first.includes(one)).map((one) => this.#option(one, kept[one.name])));
    this.options = all;
  }

  #option(about, value = "") {
    const described = `problem-${about.name}${about.hint ? ` hint-${about.name}` : ""}`;
    const common = { id: about.name, "aria-describedby": described, "data-option": about.type };
    let control;
    if (about.type === "choice" || about.type === "boolean") {
      const values = about.type === "boolean" ? ["true", "false"] : about.choices;
      control = make("select", common, make("option", { value: "" }, "Default"), ...values.map((one) => make("option", { value: one }, words(one))));
    } else if (about.type === "integer" || about.type === "number") {
      const step = about.type === "integer" ? 1 : "any";
      control = make("input", { ...common, type: "number", min: about.min, max: about.max, step });
      if (about.min !== null && about.max !== null) control.placeholder = `${about.min} to ${about.max}`;
      control.title = allowedOf(limitsOf(about));
    } else {
      control = make("input", { ...common, type: "text", placeholder: about.type === "colors" ? "#B5651D, #2A2520" : "" });
    }
    control.value = value;
    return make(
      "div",
      { class: "field", id: `at-${about.name}` },
      make("label", { for: about.name }, words(about.name)),
      control,
      about.hint && make("p", { class: "about hint", id: `hint-${about.name}` }, words(about.hint)),
      make("p", { class: "problem", id: `problem-${about.name}` }),
    );
  }

  #optionValues() {
    return Object.fromEntries([...document.querySelectorAll("[data-option]")].map((one) => [one.id, one.value]));
  }

  #offerBrush(paint) {
    const { image, mask } = this.slots;
    const open = make("button", { type: "button", class: "quiet", id: "paint-mask", hidden: true }, "Paint the mask");
    open.addEventListener("click", async () => {
      const blob = await paint(image.picture, mask.picture);
      if (blob) await mask.take(new File([blob], "mask.png", { type: "image/png" }));
    });
    mask.buttons.prepend(open);
    this.openBrush = open;
  }

  #pictureChanged(name) {
    if (name === "image") {
      this.openBrush.hidden = !this.slots.image.picture;
      this.slots.mask.put(null); // it was painted for the picture before
      return;
    }
    this.clearProblem(name);
    this.changed();
  }

  #throwDice() {
    const { min, max } = this.task?.seed ?? { min: 0, max: 2147483646 };
    byId("seed").value = min + Math.floor((crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32) * (max - min + 1));
    this.clearProblem("seed");
    this.changed();
  }

  /** Use a picture as the input of a task that works on one. False if nobody can, or `still()` is false by then. */
  async work(picture, still = () => true) {
    if (!this.task || this.task.image === "no") {
      const current = byId("model").value;
      const able = this.names.filter(({ lascaux }) => lascaux.tasks.some((name) => name !== "text_to_image")).map(({ id }) => id);
      const aliases = [...able.filter((id) => id === current), ...able.filter((id) => id !== current)];
      const found = await whoWorksOn(picture, aliases, (id) => this.#know(id), byId("prompt").value.trim());
      if (!found || !still()) return false;
      await this.choose(found.alias, found.task);
    }
    this.slots.image.put(picture);
    return true;
  }

  /** Nothing of what was written, chosen or learned stays. */
  clear() {
    byId("form").reset();
    this.known.clear();
    this.facts = null;
    this.names = [];
    for (const slot of Object.values(this.slots)) slot.put(null);
    for (const id of ["model", "task", "first-options", "options", "about-model"]) fill(byId(id));
    this.options = [];
    byId("more").open = false;
    this.#otherSize();
    this.clearProblem();
  }

  /** The wish as it stands. Throws FieldProblem for what is missing or can not be read. */
  read() {
    const task = this.task;
    if (!task) throw new FieldProblem("model", "Nobody can be asked here.", { missing: true });
    const fields = { ...this.#plainFields(task), ...this.#readOptions() };
    const wish = { alias: byId("model").value, task: byId("task").value, fields: { ...fields, ...this.#extra(fields) } };
    for (const [name, slot] of Object.entries(this.slots)) wish[name] = task[name] === "no" ? null : slot.picture;
    for (const [name, label] of Object.entries(PICTURES)) {
      if (task[name] === "required" && !wish[name]) throw new FieldProblem(name, `${label}: this task needs one.`, { missing: true });
    }
    return wish;
  }

  #plainFields(task) {
    const fields = {};
    const prompt = byId("prompt").value.trim();
    if (task.prompt !== "no" && prompt) fields.prompt = prompt;
    if (task.prompt === "required" && !prompt) throw new FieldProblem("prompt", "Say what you would like to see.", { missing: true });
    const [kind, value] = byId("at-size").hidden ? [""] : byId("size").value.split("=");
    if (kind === "other") fields.size = otherSize();
    else if (kind) fields[kind] = value;
    if (task.max_n > 1) fields.n = numberIn("n", { min: 1, max: task.max_n }) ?? 1;
    if (task.seed) {
      const seed = numberIn("seed", { min: task.seed.min, most: task.seed.max });
      if (seed !== null) fields.seed = seed;
    }
    const without = byId("negative_prompt").value.trim();
    if (task.negative_prompt && without) fields.negative_prompt = without;
    return fields;
  }

  #readOptions() {
    const found = {};
    for (const about of this.options) {
      const text = byId(about.name).value.trim();
      if (!text && !byId(about.name).validity.badInput) {
        if (about.required) throw new FieldProblem(about.name, `${words(about.name)}: this task needs it.`, { missing: true });
        continue;
      }
      if (about.type === "integer" || about.type === "number") found[about.name] = numberIn(about.name, limitsOf(about));
      else if (about.type === "boolean") found[about.name] = text === "true";
      else if (about.type === "colors") found[about.name] = text.split(/[\s,]+/).filter(Boolean);
      else found[about.name] = text;
    }
    return found;
  }

  /** Further parameters. What has a field of its own belongs there, so that nothing is said twice. */
  #extra(fields) {
    const text = byId("extra").value.trim();
    if (!text) return {};
    let plain;
    try {
      plain = JSON.parse(text);
    } catch (error) {
      throw new FieldProblem("extra", `This is not JSON: ${error.message}.`);
    }
    if (plain === null || typeof plain !== "object" || Array.isArray(plain)) {
      throw new FieldProblem("extra", 'This must be an object, such as {"strict": true}.');
    }
    const twice = Object.keys(plain).find((name) => name in fields || ["model", "task", "image", "mask", "stream", "response_format"].includes(name));
    if (twice) throw new FieldProblem("extra", `"${twice}" has a place of its own on this page.`);
    return plain;
  }

  /** Write an earlier wish into the form. */
  async write(wish) {
    await this.choose(wish.alias, wish.task);
    const rest = { ...wish.fields };
    const take = (name) => {
      const value = rest[name];
      delete rest[name];
      return value ?? "";
    };
    for (const name of ["prompt", "n", "seed", "negative_prompt"]) byId(name).value = take(name) || (name === "n" ? 1 : "");
    if (wish.fields.seed === 0) byId("seed").value = 0;
    const shape = rest.aspect_ratio ? `aspect_ratio=${take("aspect_ratio")}` : rest.size ? `size=${take("size")}` : "";
    byId("size").value = shape;
    if (shape && byId("size").value !== shape) {
      byId("size").value = "other";
      byId("size-other").value = shape.slice(shape.indexOf("=") + 1);
    }
    this.#otherSize();
    for (const about of this.options) {
      const value = take(about.name);
      byId(about.name).value = Array.isArray(value) ? value.join(", ") : value;
    }
    byId("extra").value = Object.keys(rest).length ? JSON.stringify(rest) : "";
    for (const [name, slot] of Object.entries(this.slots)) {
      const kept = wish[name];
      slot.put(kept ? { ...kept, url: URL.createObjectURL(kept.blob) } : null);
    }
    this.changed();
  }

  /** Say it while somebody is typing: at the field, without going there. False if it has no field. */
  hint(field, message, more) {
    this.hinted = this.showProblem(field, message, more, false);
    return this.hinted !== null;
  }

  /** What was said while somebody was typing holds no more. */
  clearHint() {
    if (this.hinted) this.clearProblem(this.hinted);
    this.hinted = null;
  }

  /** Say at the field what is wrong with it, offer what would be right, and `go` there. Gives the field, null for none. */
  showProblem(field, message, { allowed = null, nearest = null } = {}, go = true) {
    const name = String(field ?? "").replace(/\[.*$/, "").replace(/^(lascaux|extra_body|native)\./, "");
    const place = [name, PLACES[name], "extra"].find((one) => one && this.#takes(one, name));
    if (!place && !go) return null;
    const told = byId(`problem-${place ?? "general"}`);
    const hint = allowed && !message.includes(allowed) ? ` Allowed: ${allowed}.` : "";
    fill(told, message, hint, place && nearest !== null ? this.#offer(place, name, String(nearest)) : null);
    if (!place) return null;
    const control = controlOf(place);
    control.setAttribute("aria-invalid", "true");
    if (control.closest("details")) control.closest("details").open = true;
    if (go) control.focus();
    if (go || document.activeElement === control) byId(`at-${place}`).scrollIntoView({ block: "nearest" });
    return place;
  }

  /** Is this a field that can be seen, or the JSON that named the parameter? */
  #takes(place, name) {
    const field = byId(`at-${place}`);
    if (!field || field.hidden) return false;
    return place !== "extra" || name === "extra" || byId("extra").value.includes(`"${name}"`);
  }

  #offer(place, name, nearest) {
    const control = byId(place);
    if (place === "extra" || control.type === "file") return ` Nearest: ${nearest}.`;
    const value = place === "size" && control.tagName === "SELECT" ? `${name}=${nearest}` : nearest;
    if (control.tagName === "SELECT" && ![...control.options].some((one) => one.value === value)) return ` Nearest: ${nearest}.`;
    const use = () => {
      control.value = value;
      this.clearProblem(place);
      this.changed();
      control.focus();
    };
    return make("button", { type: "button", class: "quiet small", on: { click: use } }, `Use ${nearest}`);
  }

  /** Nothing is wrong with this field any more; without a name, with none. */
  clearProblem(name) {
    const fields = name ? [byId(`at-${name}`)] : [...document.querySelectorAll("#form .field")];
    for (const field of fields) {
      if (!field) continue;
      field.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
      field.querySelector(".problem")?.replaceChildren();
    }
    byId("problem-general").replaceChildren();
  }
}

const limitsOf = ({ type, min, max }) => ({ whole: type === "integer", min, max });

/** What is written into: for a size that is not in the list, the field beside it. */
const controlOf = (place) => byId(place === "size" && byId("size").value === "other" ? "size-other" : place);

/** A size that is not in the list. */
function otherSize() {
  const text = byId("size-other").value.trim();
  if (!text) throw new FieldProblem("size", "Say how large: width x height in pixels, such as 1024x768.", { missing: true });
  if (!/^\d+\s*[x×]\s*\d+$/i.test(text)) throw new FieldProblem("size", `Size must be width x height in pixels, such as 1024x768, not ${text}.`);
  return text.toLowerCase().replace("×", "x").replace(/\s/g, "");
}

/** A number that was typed; null if the field is empty. Throws FieldProblem, which says what is allowed. */
function numberIn(name, limits) {
  const control = byId(name);
  const { value, wrong, nearest } = numberOf(control.value, limits, control.validity.badInput);
  if (wrong) throw new FieldProblem(name, `${byId(`at-${name}`).querySelector("label").textContent} ${wrong}`, { nearest });
  return value;
}
