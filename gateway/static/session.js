// What this session has cost: what answers told, and beside it what calls may have cost whose answer never came.

import { dollars, parse } from "./money.js";

/** The most that a quoted request can cost, a second stage included, in trillionths of a dollar; null: not known. */
export function mostOf(quote) {
  if (!quote?.candidates?.length) return null;
  const amounts = quote.candidates.map((one) => parse(one.cost?.usd));
  if (amounts.includes(null)) return null;
  const first = amounts.reduce((most, one) => (one > most ? one : most), 0n);
  if (!quote.second) return first;
  const second = mostOf(quote.second);
  return second === null ? null : first + second;
}

/** How many calls of an answer or of a refusal may have been billed, though nobody knows. */
export function lostIn(attempts) {
  return attempts.filter((one) => one.outcome !== "ok" && one.may_be_billed && (one.cost_usd ?? null) === null).length;
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** The sum of a session. */
export class Session {
  constructor() {
    this.clear();
  }

  clear() {
    Object.assign(this, { usd: 0n, pictures: 0, unknown: 0, lost: 0, lostUsd: 0n, lostUnknown: false });
  }

  /** An answer came. `most` is the most that its request was quoted at, null if nobody knows. */
  answered(result, most) {
    const usd = parse(result.facts.cost.usd);
    this.usd += usd ?? 0n;
    this.unknown += usd === null ? 1 : 0;
    this.pictures += result.pictures.length;
    const lost = lostIn(result.facts.attempts);
    if (lost) this.failed(lost, most, result.wish.fields.n);
  }

  /** No answer came to `calls` calls of a request for `images` pictures; `most` is for one round of calls for all of them. */
  failed(calls, most, images = 1) {
    this.lost += calls;
    if (most === null) this.lostUnknown = true;
    else this.lostUsd += most * BigInt(Math.ceil(calls / Math.max(1, images)));
  }

  /** In words: {usd, about}; null as long as there is nothing to tell. */
  told() {
    if (!this.pictures && !this.lost) return null;
    const about = [`for ${plural(this.pictures, "picture")}`];
    if (this.unknown) about.push(`${this.unknown} at unknown prices`);
    if (this.lost) {
      const amount = this.lostUnknown ? (this.lostUsd ? `more than ${dollars(this.lostUsd)}` : "an unknown amount") : `up to ${dollars(this.lostUsd)}`;
      about.push(`and perhaps ${amount} more for ${plural(this.lost, "call")} whose answer did not come`);
    }
    return { usd: dollars(this.usd), about: about.join(", ") };
  }
}
