// The price of a wish, asked for while it is written. Never in the way: what can not be told is left out.

import { ask } from "./api.js";
import { dollars, isFree } from "./money.js";
import { requestOf } from "./wish.js";

const PAUSE = 250;
const PAUSE_WITH_PICTURES = 700;

/** A quote in a few words: {text, note}. */
export function told(quote) {
  const cost = quote.cost;
  if (!cost) return { text: quote.pick ? "price unknown" : "", note: quote.reason ?? "" };
  if (cost.usd === null) return { text: "price unknown", note: cost.note ?? "" };
  if (isFree(cost.usd) && cost.saved_usd) return { text: "free from cache", note: `saves ${dollars(cost.saved_usd)}` };
  const candidate = quote.candidates.find((one) => one.deployment === quote.pick);
  return { text: dollars(cost.usd), note: candidate ? `at ${candidate.deployment}, ${candidate.region}` : (quote.reason ?? "") };
}

/** Asks for the price of the latest wish alone: an earlier answer that comes late is not shown. */
export class Quotes {
  /** `show` is called with {text, note}, or with null while there is nothing to tell. */
  constructor(show) {
    this.show = show;
    this.timer = null;
    this.under = null;
  }

  /** The wish has changed; null: it is not complete. */
  changed(wish) {
    this.stop();
    if (!wish) {
      this.show(null);
      return;
    }
    this.timer = setTimeout(() => this.#ask(wish), wish.image || wish.references ? PAUSE_WITH_PICTURES : PAUSE);
  }

  /** Ask for nothing any more. */
  stop() {
    clearTimeout(this.timer);
    this.under?.abort();
  }

  async #ask(wish) {
    const mine = new AbortController();
    this.under = mine;
    try {
      const answer = told(await ask("v1/images/quote", { body: requestOf(wish).body, signal: mine.signal }));
      if (!mine.signal.aborted) this.show(answer);
    } catch (error) {
      if (mine.signal.aborted) return;
      this.show({ text: "", note: error.message });
    }
  }
}
