// Who shall work on a picture: somebody whose price is known, whose models are not retired, and best the one that is chosen.

import { ask } from "./api.js";
import { base64 } from "./pictures.js";
import { isRetired } from "./lifecycle.js";
import { parse } from "./money.js";
import { requestOf } from "./wish.js";

const MOST_QUOTES = 16;

/** A mask that marks everything: a price does not depend on what is painted. */
async function wholeMask({ width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d");
  return { b64: await base64(await canvas.convertToBlob()) };
}

/** The least that a task can be asked for with this picture. */
async function leastWish(alias, name, task, picture, prompt) {
  const fields = {};
  if (task.prompt !== "no") fields.prompt = prompt || "a picture";
  for (const one of task.options.filter((option) => option.required)) {
    fields[one.name] = one.choices[0] ?? one.min ?? (one.type === "colors" ? ["#B5651D"] : "a picture");
  }
  const mask = task.mask !== "no" ? await wholeMask(picture) : null;
  const references = task.references === "required" ? picture : null;
  return { alias, task: name, fields, image: picture, mask, references };
}

/** Does the gateway know what this would cost, at rates that still hold? */
async function isPriced(wish) {
  try {
    const { cost } = await ask("v1/images/quote", { body: requestOf(wish).body });
    return cost !== null && parse(cost.usd) !== null && cost.confidence !== "expired";
  } catch {
    return false;
  }
}

/**
 * The first {alias, task} that works on a picture and has a price; else the first whose models are not retired, else the
 * first there is, else null. `known(alias)` gives the choices of one; `aliases` come in the order in which they are preferred.
 */
export async function whoWorksOn(picture, aliases, known, prompt) {
  let spare = null;
  let last = null;
  let quotes = 0;
  for (const alias of aliases) {
    const facts = await known(alias);
    const retired = facts.lifecycle.length > 0 && facts.lifecycle.every(isRetired);
    for (const [task, about] of Object.entries(facts.tasks).filter(([, one]) => one.image === "required")) {
      last ??= { alias, task };
      if (retired) break;
      spare ??= { alias, task };
      if (quotes++ >= MOST_QUOTES) return spare;
      if (await isPriced(await leastWish(alias, task, about, picture, prompt))) return { alias, task };
    }
  }
  return spare ?? last;
}
