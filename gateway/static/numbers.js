// Numbers that people type, and what is said of those that do not fit.

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** What is allowed, in words: "a whole number from 1 to 10". */
export function allowedOf({ whole = true, min = null, max = null }) {
  const kind = whole ? "a whole number" : "a number";
  if (min !== null && max !== null) return `${kind} from ${min} to ${max}`;
  if (min !== null) return `${kind}, ${min} or more`;
  return max === null ? kind : `${kind}, ${max} or less`;
}

/**
 * Reads a text: {value}, where null is an empty text, or {wrong, nearest}.
 * `limits` are {whole, min, max, most}: `most` is told, and left to the gateway to judge, since models differ in it.
 */
export function numberOf(text, limits, unreadable = false) {
  const typed = text.trim();
  if (!typed && !unreadable) return { value: null };
  const allowed = allowedOf({ ...limits, max: limits.max ?? limits.most ?? null });
  if (unreadable || !NUMBER.test(typed)) return { wrong: `must be ${allowed}.`, nearest: null };
  const value = Number(typed);
  const { whole = true, min = null, max = null } = limits;
  const rounded = whole ? Math.round(value) : value;
  const nearest = Math.min(Math.max(rounded, min ?? rounded), max ?? limits.most ?? Infinity);
  if (value !== rounded || value < (min ?? -Infinity) || value > (max ?? Infinity) || !Number.isFinite(value)) {
    return { wrong: `must be ${allowed}, not ${typed}.`, nearest: Number.isFinite(nearest) ? nearest : null };
  }
  return { value };
}
