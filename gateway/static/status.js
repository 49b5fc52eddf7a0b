// The status view: how every deployment is doing, and what was spent today.

import { ask } from "./api.js";
import { byId, fill, make, words } from "./dom.js";
import { isRetired } from "./lifecycle.js";
import { dollars, parse } from "./money.js";

const EVERY = 5000;
const STATES = { closed: "Closed", open: "Open", half_open: "Half open" };
const STAGES = { active: "active", preview: "preview", legacy: "legacy", extended_access: "extended access", eol: "retired" };

const COLUMNS = ["Today", "This month", "In flight"];

const seconds = (number) => (number >= 10 ? `${Math.round(number)} s` : `${number.toFixed(1)} s`);
const fact = (name, value) => (value === null ? null : make("div", {}, make("dt", {}, name), make("dd", {}, value)));
const tile = (name, value, more = null) => make("div", { class: "tile" }, make("dt", {}, name), make("dd", {}, make("strong", {}, value), more && " ", more && make("span", {}, more)));

/** What the breaker does, in words: the colour is not all there is. */
function breaker(one, workers) {
  if (isRetired(one)) return one.state === "closed" ? "Retired" : `Retired, breaker ${STATES[one.state].toLowerCase()}`;
  if (one.state === "closed" && one.resting > 0) return `Resting, throttled, for ${seconds(one.resting)}`;
  if (one.state === "closed") return "Breaker closed";
  const next = one.probe_in > 0 ? `probes again in ${seconds(one.probe_in)}` : "the next request is its probe";
  const where = workers > 1 ? `, at ${one.open_at} of ${workers} workers` : "";
  return `Breaker ${STATES[one.state].toLowerCase()}${where}: ${next}`;
}

function limits(one) {
  const found = [];
  if (one.rpm !== null) found.push(`${one.rpm} a minute declared`);
  if (one.concurrency !== null) found.push(`${one.concurrency} at once`);
  if (one.learned_rpm !== null) found.push(`${one.learned_rpm} a minute learned`);
  return found.join(", ") || "none known";
}

function lifecycle(one) {
  if (one.stage === null) return one.retired ? "retired" : "the account's own";
  const parts = [one.retired && one.stage !== "eol" ? "retired, it says" : STAGES[one.stage]];
  if (one.stage === "eol" && one.eol) parts.push(`since ${one.eol}`);
  else if (one.eol) parts.push(`until ${one.eol}`);
  else if (one.legacy) parts.push(`legacy from ${one.legacy}`);
  if (one.replacement) parts.push(`then ${one.replacement}`);
  return parts.join(", ");
}

function card(one, workers) {
  const state = isRetired(one) ? "retired" : one.state === "closed" && one.resting > 0 ? "resting" : one.state;
  const lately = one.calls ? `${one.calls} calls, ${one.failures} failed` : "no calls";
  return make(
    "li",
    { class: `deployment ${state}` },
    make("h3", {}, one.deployment),
    make("p", { class: "state" }, make("span", { class: "lamp", "aria-hidden": "true" }), breaker(one, workers)),
    make("p", { class: "about" }, `${one.model} in ${one.region}`),
    make(
      "dl",
      { class: "facts" },
      fact("Aliases", one.aliases.join(", ") || "none"),
      fact("In flight", one.waiting ? `${one.in_flight}, ${one.waiting} in line` : String(one.in_flight)),
      fact("A call takes", one.seconds === null ? "no answer yet" : seconds(one.seconds)),
      fact("Last 30 s", lately),
      fact("Limits", limits(one)),
      fact("Lifecycle", lifecycle(one)),
    ),
    one.sources.length && one.stage !== "active" ? make("p", { class: "source" }, `Source: ${one.sources[0]}`) : null,
  );
}

/** A phone shows each key as a card, whose values have their names beside them; the roles stay what they were. */
const cell = (at, text) => make("td", { role: "cell", "data-name": COLUMNS[at] }, text);

function account(one) {
  const of = (spent, most) => (most === null ? dollars(spent) : `${dollars(spent)} of ${dollars(most)}`);
  return make(
    "tr",
    { role: "row" },
    make("th", { scope: "row", role: "rowheader" }, one.key),
    cell(0, of(one.usd_today, one.usd_per_day)),
    cell(1, of(one.usd_this_month, one.usd_per_month)),
    cell(2, String(one.in_flight)),
  );
}

/** The whole view. */
function page(status) {
  const well = status.deployments.filter((one) => one.state === "closed" && !isRetired(one)).length;
  const retired = status.deployments.filter(isRetired).length;
  const spend = status.spend;
  const today = spend ? spend.reduce((sum, one) => sum + (parse(one.usd_today) ?? 0n), 0n) : null;
  const header = ["Key", ...COLUMNS].map((name) => make("th", { scope: "col", role: "columnheader" }, name));
  return [
    make(
      "dl",
      { class: "tiles" },
      tile("Deployments well", `${well} of ${status.deployments.length}`, retired ? `${retired} retired` : null),
      tile("Requests in flight", String(status.in_flight), status.waiting ? `${status.waiting} in line` : null),
      tile("Spent today", today === null ? "not known" : dollars(today), "UTC"),
      status.workers > 1 ? tile("Workers", String(status.workers)) : null,
    ),
    make("h2", {}, "Deployments"),
    make("ul", { class: "deployments" }, ...status.deployments.map((one) => card(one, status.workers))),
    make("h2", {}, "Spending by key"),
    spend
      ? make("div", { class: "table" },
          make("table", { role: "table", "aria-label": "Spending by key" },
            make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...header)),
            make("tbody", { role: "rowgroup" }, ...spend.map(account))))
      : make("p", { class: "about" }, "The accounts can not be read now."),
  ];
}

/** Looks again every few seconds while it can be seen. */
export class StatusView {
  constructor() {
    this.timer = null;
    this.visit = 0;
    byId("refresh").addEventListener("click", () => this.look());
    byId("following").addEventListener("change", () => this.look());
  }

  /** The view comes into sight. */
  show() {
    this.visible = true;
    return this.look();
  }

  hide() {
    this.visible = false;
    clearTimeout(this.timer);
  }

  /** Nothing of what was seen stays, nor comes late. */
  clear() {
    this.visit += 1;
    fill(byId("status"));
    byId("updated").textContent = byId("problem-status").textContent = "";
  }

  async look() {
    clearTimeout(this.timer);
    const { visit } = this;
    try {
      const status = await ask("admin/status");
      if (visit !== this.visit) return;
      fill(byId("status"), page(status));
      byId("updated").textContent = `${words("as of")} ${new Date(status.at).toLocaleTimeString()}`;
      byId("problem-status").textContent = "";
    } catch (error) {
      if (visit !== this.visit) return;
      byId("problem-status").textContent = error.status === 403 ? "This view needs an admin key." : error.message;
      if (error.status === 403) return;
    }
    if (this.visible && byId("following").checked) this.timer = setTimeout(() => this.look(), EVERY);
  }
}
