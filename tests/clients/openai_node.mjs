// OpenAI's package for Node as a driver: its orders come line by line, its answers are what the package returns or throws.
import fs from "node:fs";
import readline from "node:readline";
import { createRequire } from "node:module";

// From beside the tests' package.json, where npm has put it.
const { default: OpenAI, toFile } = createRequire(new URL("../node/package.json", import.meta.url))("openai");

const CALLS = {
  generate: (client, given, options) => client.images.generate(given, options),
  edit: (client, given, options) => client.images.edit(given, options),
  variation: (client, given, options) => client.images.createVariation(given, options),
  models: (client) => client.models.list(),
  model: (client, given) => client.models.retrieve(given.model),
  json: (client, given, options, order) => client.post(`/images/${order.path}`, { body: given }),
};

async function given(order) {
  const params = { ...(order.params ?? {}), ...(order.extra ?? {}) };
  const files = await Promise.all((order.images ?? []).map((path) => toFile(fs.createReadStream(path))));
  if (files.length) params.image = files.length > 1 ? files : files[0];
  if (order.mask) params.mask = await toFile(fs.readFileSync(order.mask), "mask.png", { type: "image/png" });
  return params;
}

async function keep(pictures, folder) {
  const kept = [];
  for (const [number, one] of pictures.entries()) {
    const bytes = one.url
      ? Buffer.from(await (await fetch(one.url)).arrayBuffer())
      : Buffer.from(one.b64_json, "base64");
    fs.writeFileSync(`${folder}-${number}`, bytes);
    kept.push({ file: `${folder}-${number}`, url: one.url ?? null, lascaux: one.lascaux ?? null });
  }
  return kept;
}

async function plain(answer, order) {
  if (order.params?.stream) {
    const events = [];
    for await (const event of answer) events.push(event);
    return { events, data: await keep(events, order.pictures) };
  }
  if (order.do === "models") return { data: answer.data };
  if (order.do === "model") return { ...answer };
  return { ...answer, request_id: answer._request_id, data: await keep(answer.data, order.pictures) };
}

function failure(error) {
  const classes = [];
  for (let one = error.constructor; one && one.name && one.name !== "Error"; one = Object.getPrototypeOf(one)) {
    classes.push(one.name);
  }
  const { status, code, param, type, message, requestID } = error;
  return {
    classes, message, status: status ?? null, code: code ?? null, param: param ?? null, type: type ?? null,
    request_id: requestID ?? null, headers: Object.fromEntries(error.headers?.entries() ?? []),
  };
}

async function perform(order) {
  const { url, key, timeout, retries } = order.client;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, timeout: timeout * 1000, maxRetries: retries });
  try {
    const answer = await CALLS[order.do](client, await given(order), undefined, order);
    return { answer: await plain(answer, order) };
  } catch (error) {
    if (!(error instanceof Error)) throw error; // a connection that breaks inside an answer is a bare TypeError
    return { error: failure(error) };
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await perform(JSON.parse(line)))}\n`);
}
