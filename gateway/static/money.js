// Exact dollars. Amounts come as texts such as "0.28" and are added without ever becoming floats.

const DIGITS = 12;
const ONE = 10n ** BigInt(DIGITS);

/** Trillionths of a dollar in an amount such as "0.04"; null for what is no amount. */
export function parse(text) {
  const match = /^(\d+)(?:\.(\d{1,12})\d*)?$/.exec(String(text ?? ""));
  return match ? BigInt(match[1]) * ONE + BigInt((match[2] ?? "").padEnd(DIGITS, "0")) : null;
}

/** An amount as people read it, with all its digits and at least two of cents: "$0.04", "$0.0025". */
export function dollars(text) {
  const amount = typeof text === "bigint" ? text : parse(text);
  if (amount === null) return "price unknown";
  const cents = (amount % ONE).toString().padStart(DIGITS, "0").replace(/0+$/, "").padEnd(2, "0");
  return `$${amount / ONE}.${cents}`;
}

/** Is it nothing at all? */
export const isFree = (text) => parse(text) === 0n;
