// The wall: a card for each answer. Pictures are blobs of this page, and given back when their card goes.

import { ask, key } from "./api.js";
import { byId, make, words } from "./dom.js";
import { dollars, isFree } from "./money.js";
import { blobOf } from "./pictures.js";
import { mostFor, told } from "./quote.js";
import { asCurl, asPython, elsewhere, requestOf } from "./wish.js";

const MOST_CARDS = 24;
const PRICES = { hit: "from the cache", coalesced: "shared with the same request" };

/** What an answer is about: its pictures as blobs with addresses, and the facts beside them. */
export function resultOf(wish, answer) {
  const pictures = answer.data.map((item) => {
    const blob = blobOf(item.b64_json, item.lascaux.format);
    return { ...item.lascaux, blob, b64: item.b64_json, url: URL.createObjectURL(blob) };
  });
  return { wish, pictures, facts: answer.lascaux };
}

/** What was paid, and why so much. */
function price(facts) {
  const { cost, cache } = facts;
  if (cost.usd === null) return "price unknown";
  if (!isFree(cost.usd)) return dollars(cost.usd);
  const saved = cost.saved_usd && !isFree(cost.saved_usd) ? `, saves ${dollars(cost.saved_usd)}` : "";
  return `$0.00, ${PRICES[cache] ?? "nothing to pay"}${saved}`;
}

const seconds = (number) => `${number.toFixed(number < 10 ? 1 : 0)} s`;

/** One fact with its name. */
const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, ...value));

function route(facts) {
  const steps = facts.attempts.map((attempt) => {
    const billed = attempt.outcome !== "ok" && attempt.may_be_billed ? ", may have been billed" : "";
    return make(
      "li",
      { class: attempt.outcome === "ok" ? "good" : "bad" },
      make("strong", {}, attempt.deployment),
      ` ${attempt.model}, ${attempt.region}: ${attempt.outcome} after ${seconds(attempt.duration)}${billed}`,
    );
  });
  if (!steps.length) return null;
  const count = steps.length === 1 ? "1 attempt" : `${steps.length} attempts`;
  return make("details", { class: "route", open: steps.length > 1 }, make("summary", {}, `Route: ${count}`), make("ol", {}, ...steps));
}

/** Pictures and facts of one result; `actions(picture)` are the buttons below each picture. */
function view(result, actions = () => []) {
  const { facts, pictures, wish } = result;
  const alt = wish.fields.prompt ? `Picture of: ${wish.fields.prompt}` : words(wish.task);
  const shown = pictures.map((picture) =>
    make(
      "figure",
      {},
      make("img", { src: picture.url, alt, width: picture.width, height: picture.height }),
      make("figcaption", { class: "buttons" }, ...actions(picture)),
    ),
  );
  const warnings = facts.warnings.map((warning) =>
    make("li", {}, warning.parameter ? `${warning.parameter}: ${warning.message}` : warning.message),
  );
  for (const gap of facts.missing) warnings.push(make("li", {}, `A picture is missing: ${gap.message}`));
  const seeds = [...new Set(pictures.map((picture) => picture.seed).filter((seed) => seed !== null))];
  return [
    make("div", { class: pictures.length > 1 ? "sheet" : "single" }, ...shown),
    make(
      "dl",
      { class: "facts" },
      fact("Price", make("span", { class: "price" }, price(facts))),
      fact("Seed", seeds.length ? seeds.join(", ") : "not told"),
      fact("Made by", `${facts.deployment} (${facts.model}) in ${facts.region}`),
      fact("Size", `${pictures[0].width} × ${pictures[0].height} ${pictures[0].format}`),
      fact("Took", seconds(facts.duration)),
      fact("Cache", facts.cache),
    ),
    warnings.length ? make("ul", { class: "warnings", "aria-label": "Warnings" }, ...warnings) : null,
    route(facts),
  ];
}

const button = (text, click, more = {}) => make("button", { type: "button", class: "quiet", ...more, on: { click } }, text);

/** The wall of cards. `on`: again(wish), work(picture, wish), made(result, most), lost(error, wish, most), others(task, alias), say(text), copy(title, text). */
export class Gallery {
  constructor(on) {
    this.on = on;
    this.cards = [];
    this.count = 0;
    this.visit = 0;
  }

  /** Take everything down, and hang nothing that was asked for before. */
  clear() {
    this.visit += 1;
    for (const entry of [...this.cards]) this.#drop(entry);
  }

  /** Hang a result; the oldest card goes when there are too many. */
  add(result) {
    const { card, head } = this.#card([result], result.wish.fields.prompt || words(result.wish.task));
    const compare = make("div", { class: "compare", hidden: true });
    const actions = (picture) => [
      this.#download(picture),
      button("Use as input", () => this.on.work(picture, result.wish)),
    ];
    card.append(
      head,
      ...view(result, actions).filter(Boolean),
      make(
        "div",
        { class: "buttons" },
        button("Same again", () => this.on.again(elsewhere(result.wish, result.wish.alias, result.facts.seed ?? undefined))),
        this.#comparing(result, compare),
        button("Copy as curl", () => this.on.copy("curl", asCurl(result.wish, Boolean(key.get())))),
        button("Copy as Python", () => this.on.copy("Python", asPython(result.wish, Boolean(key.get())))),
      ),
      compare,
    );
  }

  #card(results, title) {
    const id = `card-${++this.count}`;
    const card = make("article", { class: "card", "aria-labelledby": id, tabindex: "-1" });
    const entry = { card, results };
    const remove = button("Take down", () => this.#drop(entry), { class: "quiet small" });
    const head = make("div", { class: "card-head" }, make("h3", { id }, title), remove);
    byId("gallery").prepend(card);
    this.cards.unshift(entry);
    while (this.cards.length > MOST_CARDS) this.#drop(this.cards.at(-1));
    this.tidy();
    return { card, head };
  }

  #drop(entry) {
    this.cards = this.cards.filter((other) => other !== entry);
    for (const result of entry.results) {
      if (this.cards.some((other) => other.results.includes(result))) continue;
      for (const picture of result.pictures) URL.revokeObjectURL(picture.url);
    }
    const within = entry.card.contains(document.activeElement);
    entry.card.remove();
    this.tidy();
    if (within) (this.cards[0]?.card ?? byId("prompt")).focus();
  }

  /** Say so if nothing hangs here. */
  tidy() {
    byId("empty").hidden = this.cards.length > 0;
  }

  #download(picture) {
    const format = picture.format === "jpeg" ? "jpg" : picture.format;
    const name = picture.seed === null ? "lascaux" : `lascaux-${picture.seed}`;
    return make("a", { class: "button quiet", href: picture.url, download: `${name}.${format}` }, "Download");
  }

  /** "Same seed, other model": a choice, its price, and a button to make it. */
  #comparing(result, place) {
    const seed = result.facts.seed;
    const open = button("Same seed, other model", () => {
      place.hidden = !place.hidden;
      open.setAttribute("aria-expanded", String(!place.hidden));
      if (!place.hidden) this.#offerOthers(result, seed, place);
    }, { "aria-expanded": "false" });
    return open;
  }

  #offerOthers(result, seed, place) {
    const names = this.on.others(result.wish.task, result.wish.alias);
    if (seed === null || !names.length) {
      place.replaceChildren(make("p", { class: "about" }, seed === null ? "The model does not tell its seed." : "Nobody else here can do this task."));
      return;
    }
    const id = `other-${this.count}-${seed}`;
    const select = make("select", { id }, ...names.map((name) => make("option", { value: name }, name)));
    const cost = make("output", { class: "quote", for: id });
    const problem = make("p", { class: "problem", role: "alert" });
    const show = async () => {
      const wanted = select.value;
      cost.textContent = "";
      try {
        const answer = told(await ask("v1/images/quote", { body: requestOf(elsewhere(result.wish, wanted, seed)).body }));
        if (select.value === wanted) cost.textContent = answer.text || answer.note;
      } catch (error) {
        if (select.value === wanted) cost.textContent = error.message;
      }
    };
    select.addEventListener("change", show);
    const make_ = button("Make it", () => this.#compare(result, select.value, seed, make_, problem), { class: "go" });
    place.replaceChildren(make("div", { class: "field" }, make("label", { for: id }, `With seed ${seed}, asked of`), select), cost, make_, problem);
    show();
    select.focus();
  }

  async #compare(first, alias, seed, pressed, problem) {
    const { visit } = this;
    pressed.disabled = true;
    problem.textContent = "";
    this.on.say("Painting");
    const wish = elsewhere(first.wish, alias, seed);
    const { path, body } = requestOf(wish);
    const most = mostFor(wish);
    try {
      const answer = await ask(path, { body, paid: true });
      if (visit !== this.visit) return;
      const second = resultOf(wish, answer);
      this.on.made(second, most);
      this.#pair(first, second);
    } catch (error) {
      if (visit !== this.visit) return;
      problem.textContent = error.message;
      this.on.lost(error, wish, most);
    } finally {
      pressed.disabled = false;
    }
  }

  /** Two answers to one wish, side by side. */
  #pair(first, second) {
    const { card, head } = this.#card([first, second], `Same seed, two models: ${first.wish.fields.prompt || words(first.wish.task)}`);
    card.classList.add("pair");
    const side = (result) =>
      make("section", { class: "side" }, make("h4", {}, result.wish.alias), ...view(result, (picture) => [this.#download(picture)]).filter(Boolean));
    card.append(head, make("div", { class: "sides" }, side(first), side(second)));
    card.focus();
    card.scrollIntoView({ block: "start" });
  }
}
