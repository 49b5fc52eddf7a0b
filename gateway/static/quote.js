// The price of a wish, asked for while it is written. Never in the way: what can not be told is left out.

import { ask } from "./api.js";
import { dollars, isFree } from "./money.js";
import { mostOf } from "./session.js";
import { requestOf } from "./wish.js";

const PAUSE = 250;
const PAUSE_WITH_PICTURES = 700;
const LATER = [1000, 2000, 4000, 8000, 15000, 30000];

const quoteOf = (wish, signal = null) => ask("v1/images/quote", { body: requestOf(wish).body, signal });

/** The most that a wish can cost, in trillionths of a dollar; null if that is not known. */
export const mostFor = (wish) => quoteOf(wish).then(mostOf, () => null);

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
  /**
   * `show` is called with {text, note}, or with null while there is nothing to tell; `refused` with a Problem, if the gateway
   * takes the wish amiss.
   */
  constructor(show, refused) {
    this.show = show;
    this.refused = refused;
    this.timer = null;
    this.under = null;
    this.latest = null;
  }

  /** `mostFor` this wish, without asking again if it was just told. */
  most(wish) {
    if (this.latest?.body === JSON.stringify(requestOf(wish).body)) return Promise.resolve(mostOf(this.latest.quote));
    return mostFor(wish);
  }

  /** The wish has changed; null: it is not complete. `follow`: look again for a while, since a call is still under way. */
  changed(wish, follow = false) {
    this.stop();
    if (!wish) {
      this.show(null);
      return;
    }
    const pause = wish.image || wish.references ? PAUSE_WITH_PICTURES : PAUSE;
    this.timer = setTimeout(() => this.#ask(wish, follow ? LATER : []), pause);
  }

  /** Ask for nothing any more. */
  stop() {
    clearTimeout(this.timer);
    this.under?.abort();
    this.latest = null;
  }

  async #ask(wish, later) {
    const mine = new AbortController();
    this.under = mine;
    try {
      const quote = await quoteOf(wish, mine.signal);
      if (mine.signal.aborted) return;
      this.latest = { body: JSON.stringify(requestOf(wish).body), quote };
      this.show(told(quote));
      if (later.length && !isFree(quote.cost?.usd)) this.timer = setTimeout(() => this.#ask(wish, later.slice(1)), later[0]);
    } catch (error) {
      if (mine.signal.aborted) return;
      this.refused(error);
    }
  }
}
