// The page: a door if a key is needed, the playground, and the status of all deployments.

import { Problem, ask, key, models } from "./api.js";
import { Brush } from "./brush.js";
import { byId } from "./dom.js";
import { FieldProblem, Form } from "./form.js";
import { Gallery, resultOf } from "./gallery.js";
import { readPicture } from "./pictures.js";
import { Quotes } from "./quote.js";
import { Session } from "./session.js";
import { StatusView } from "./status.js";
import { requestOf } from "./wish.js";

const VIEWS = ["playground", "status"];
const NARROW = matchMedia("(max-width: 61.99rem)");
const LONG = 160;
const EMPTY_QUOTE = "Type a prompt, and the price appears here.";

const brush = new Brush();
const quotes = new Quotes(quoted, refused);
const form = new Form({ changed: wishChanged, paint: (picture, mask) => brush.open(picture, mask) });
const gallery = new Gallery({ again, work, made, lost, others: (task, alias) => form.othersFor(task, alias), say, copy });
const status = new StatusView();
const session = new Session();
const WRONG = "The price appears when the marked field is right.";
let opened = false;
let owner = null;
let visit = 0;
let calling = null;

function say(text) {
  byId("said").textContent = text;
}

function showQuote(answer, missing = EMPTY_QUOTE) {
  const place = byId("quote");
  place.replaceChildren();
  byId("counter").classList.toggle("long", (answer?.note ?? "").length > LONG);
  place.classList.toggle("idle", !answer);
  if (!answer) {
    place.textContent = missing;
    return;
  }
  const price = document.createElement("strong");
  price.textContent = answer.text;
  const note = document.createElement("span");
  note.textContent = answer.note;
  place.append(...(answer.text ? [price, " "] : []), note);
}

/** The price came, or is not to be told. */
function quoted(answer) {
  if (answer) form.clearHint();
  showQuote(answer);
}

/** The gateway takes something amiss: that is said at its field, and where it has none, in place of the price. */
function refused(problem) {
  form.clearHint();
  const told = form.hint(problem.param, problem.message, problem);
  showQuote(told ? null : { text: "", note: problem.message }, WRONG);
}

/** The price of what is written now. What is not complete is no mistake yet; what is wrong is said where it stands. */
function wishChanged(follow = false) {
  try {
    quotes.changed(form.read(), follow);
    if (byId("quote").classList.contains("idle")) showQuote(null, "Asking for the price");
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    quotes.changed(null);
    form.clearHint();
    if (error.field === "prompt") return;
    const told = !error.missing && form.hint(error.field, error.message, error);
    showQuote(null, told ? WRONG : error.message);
  }
}

/** Make the picture. */
async function make(event) {
  event.preventDefault();
  if (calling) return;
  form.clearProblem();
  let wish;
  try {
    wish = form.read();
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    form.showProblem(error.field, error.message, error);
    return;
  }
  const mine = new AbortController();
  const stop = waiting();
  const { path, body } = requestOf(wish);
  const most = quotes.most(wish);
  calling = mine;
  try {
    const answer = await ask(path, { body, signal: mine.signal, paid: true });
    if (calling !== mine) return;
    const result = resultOf(wish, answer);
    gallery.add(result);
    made(result, most);
    say(`Done: ${result.pictures.length === 1 ? "a picture" : `${result.pictures.length} pictures`} by ${result.facts.deployment}`);
  } catch (error) {
    if (calling === mine) failed(error, wish, most);
  } finally {
    stop();
    if (calling === mine) {
      calling = null;
      wishChanged(mine.signal.aborted && wish.fields.seed !== undefined);
    }
  }
}

/** Show that something is under way; gives what ends that. */
function waiting() {
  const began = performance.now();
  const show = () => {
    byId("elapsed").textContent = `${((performance.now() - began) / 1000).toFixed(1)} s`;
  };
  show();
  say("Painting");
  const timer = setInterval(show, 100);
  byId("pending").hidden = false;
  byId("empty").hidden = true;
  byId("cancel").focus({ preventScroll: true }); // the other button can not keep it while it is switched off
  byId("go").disabled = true;
  if (NARROW.matches) byId("wall-title").scrollIntoView();
  return () => {
    clearInterval(timer);
    const focused = document.activeElement === byId("cancel");
    byId("pending").hidden = true;
    byId("go").disabled = false;
    gallery.tidy();
    if (focused) byId("go").focus({ preventScroll: true });
  };
}

function failed(error, wish, most) {
  lost(error, wish, most);
  if (error.name === "AbortError") {
    const again =
      wish.fields.seed === undefined
        ? "It had no seed: to ask again makes another picture, which is paid as well."
        : "Once it is made, the same wish with this seed comes from the cache, if this gateway keeps one: the price tells.";
    say("Cancelled");
    form.showProblem(null, `You left. A call that was under way is still made and paid. ${again}`);
    return;
  }
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) {
    showDoor("This key is not valid here any more.");
    return;
  }
  const billed = error.mayBeBilled ? " It may have been billed all the same." : "";
  say("No picture came");
  form.showProblem(error.param, error.message + billed, error);
}

/** Show what this session has cost. */
function showSession() {
  const told = session.told();
  byId("spent").hidden = !told;
  byId("spent-usd").textContent = told?.usd ?? "";
  byId("spent-count").textContent = told?.about ?? "";
}

/** Add to it what an answer tells. `most` is a promise of what its request was quoted at. */
async function made(result, most) {
  const then = visit;
  const limit = await most;
  if (then !== visit) return;
  session.answered(result, limit);
  showSession();
  if (!calling) wishChanged();
}

/** Add to it what may have been paid for nothing. */
async function lost(error, wish, most) {
  const calls = error.name === "AbortError" ? 1 : (error.lost ?? 0);
  const then = visit;
  const limit = await most;
  if (!calls || then !== visit) return;
  session.failed(calls, limit, wish.fields.n);
  showSession();
}

/** Nothing of the one who was here stays: pictures, words, money, and what the key let see. */
function clear() {
  visit += 1;
  const left = calling;
  calling = null;
  left?.abort();
  quotes.stop();
  gallery.clear();
  form.clear();
  session.clear();
  showSession();
  status.clear();
  brush.clear();
  byId("text").close();
  byId("text-content").value = "";
  say("");
  showQuote(null);
}

async function again(wish) {
  await form.write(wish);
  byId("prompt").focus();
}

/** Use a picture of the wall as the picture to work on. */
async function work(picture, wish) {
  const then = visit;
  const input = await readPicture(picture.blob, wish.fields.prompt?.slice(0, 40) || "picture");
  if (!(await form.work(input, () => then === visit))) {
    URL.revokeObjectURL(input.url);
    if (then !== visit) return;
    say("Nobody here works on pictures");
    form.showProblem(null, "No alias here works on pictures.");
    return;
  }
  byId("task").focus();
}

/** To the clipboard, or where there is none, into a window to copy from. */
async function copy(title, text) {
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied as ${title}`);
  } catch {
    byId("text-title").textContent = `Copy as ${title}`;
    byId("text-content").value = text;
    byId("text").showModal();
    byId("text-content").select();
  }
}

function showView() {
  if (!opened) return;
  const wanted = location.hash.slice(1);
  const view = VIEWS.includes(wanted) ? wanted : "playground";
  for (const name of VIEWS) byId(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "status" ? "Status - Lascaux" : "Lascaux";
  if (view === "status") status.show();
  else status.hide();
}

function showDoor(message = "") {
  opened = false;
  status.hide();
  quotes.stop();
  key.forget();
  byId("forget").hidden = true;
  for (const name of VIEWS) byId(`view-${name}`).hidden = true;
  byId("door").hidden = false;
  byId("problem-key").textContent = message;
  byId("key").value = "";
  byId("key").focus();
}

/** Let in whoever the gateway lets in. */
async function open() {
  let names;
  try {
    names = await models();
  } catch (error) {
    if (error.status === 401) showDoor(key.get() ? "This key is not valid here." : "");
    else {
      opened = true;
      byId("view-playground").hidden = false;
      form.showProblem(null, error.message);
    }
    return;
  }
  if (owner !== null && owner !== key.get()) clear(); // after a key that went out of use, somebody else may stand here
  owner = key.get();
  opened = true;
  byId("door").hidden = true;
  byId("forget").hidden = !key.get();
  form.setNames(names);
  showView();
  if (names.length) await form.choose(names[0].id);
  else form.showProblem(null, "The configuration names no alias.");
}

byId("form").addEventListener("submit", make);
byId("cancel").addEventListener("click", () => calling?.abort());
byId("text-close").addEventListener("click", () => byId("text").close());
byId("forget").addEventListener("click", () => {
  clear();
  showDoor();
});
byId("form").addEventListener("focusin", (event) => {
  if (event.target.matches("textarea, input")) event.target.closest(".field")?.scrollIntoView({ block: "nearest" });
});
new ResizeObserver(([bar]) => {
  const height = byId("counter").classList.contains("long") ? 0 : bar.borderBoxSize[0].blockSize;
  document.documentElement.style.setProperty("--bar", `${height}px`);
}).observe(byId("counter"));
byId("door-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(byId("key").value.trim());
  open();
});
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("form").requestSubmit();
});
byId("examples").addEventListener("click", (event) => {
  if (event.target.tagName !== "BUTTON") return;
  byId("prompt").value = event.target.textContent;
  form.clearProblem("prompt");
  wishChanged();
  byId("go").focus();
});
for (const event of ["dragover", "drop"]) {
  document.addEventListener(event, (moved) => moved.preventDefault()); // beside its place a picture would replace the page
}
document.addEventListener("paste", async (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (!file || byId("view-playground").hidden) return;
  event.preventDefault();
  await work({ blob: file }, { fields: { prompt: file.name } });
});
window.addEventListener("hashchange", showView);
showQuote(null);
await open();
