// The gateway's addresses, asked with the key of this tab.

import { lostIn } from "./session.js";

const KEY = "lascaux.key";

/** The key, which this tab alone remembers. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

/** What the gateway refused, or could not do: OpenAI's envelope, and what stands beside it. */
export class Problem extends Error {
  constructor(status, error, requestId) {
    super(error.message || `the gateway answered with status ${status}`);
    this.status = status;
    this.code = error.code ?? null;
    this.param = error.param ?? null;
    const more = error.lascaux ?? {};
    this.allowed = more.allowed ?? null;
    this.nearest = more.nearest ?? null;
    this.attempts = more.attempts ?? [];
    this.mayBeBilled = more.may_be_billed === true;
    this.requestId = requestId;
    /** Calls whose answer did not come, though they may have been billed. Who can not be reached may have worked all the same. */
    this.lost = this.mayBeBilled || status === 0 || status === 200 || (status >= 500 && !this.code) ? lostIn(this.attempts) || 1 : 0;
  }
}

/** A text that no other click has, so that a browser which sends a request twice pays once. */
function once() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What an address answers, as plain data. With `body` it is a POST of JSON; `paid` marks what must not be billed twice.
 * Throws Problem, and what `fetch` throws when `signal` ends it.
 */
export async function ask(path, { body = null, signal = null, paid = false } = {}) {
  const headers = {};
  if (key.get()) headers.Authorization = `Bearer ${key.get()}`;
  if (body !== null) headers["Content-Type"] = "application/json";
  if (paid) headers["Idempotency-Key"] = once();
  let response;
  try {
    response = await fetch(path, { method: body === null ? "GET" : "POST", headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { message: "the gateway can not be reached" }, null);
  }
  const plain = await response.json().catch(() => null);
  signal?.throwIfAborted();
  if (response.ok && plain === null) throw new Problem(200, { message: "the answer broke off on its way" }, null);
  if (!response.ok) throw new Problem(response.status, plain?.error ?? {}, response.headers.get("x-request-id"));
  return plain;
}

/** Every alias and deployment. */
export const models = async () => (await ask("v1/models")).data;

/** What one of them can be asked for, task by task. */
export async function choices(name) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return (await ask(`v1/models/${path}`)).lascaux.choices;
}
