// A wish: what somebody wants to see, as the gateway is asked for it. Plain data and no page.
//
// {alias, task, fields, image, mask, references}: `fields` are parameters by name, pictures are those of pictures.js.

/** The address and the body of a wish. Who works on a picture asks for an edit. */
export function requestOf(wish) {
  const body = { model: wish.alias, prompt: wish.fields.prompt ?? "", task: wish.task };
  for (const [name, value] of Object.entries(wish.fields)) if (name !== "prompt") body[name] = value;
  if (wish.image) body.image = wish.image.b64;
  if (wish.mask) body.mask = wish.mask.b64;
  if (wish.references) body.references = wish.references.b64;
  return { path: wish.image ? "v1/images/edits" : "v1/images/generations", body };
}

/** The same wish for somebody else, with the seed that the first picture had. */
export const elsewhere = (wish, alias, seed) => ({ ...wish, alias, fields: { ...wish.fields, seed } });

/** What of a wish can be shown in a line of code: pictures as the names of files. */
function shown(wish) {
  const { body } = requestOf({ ...wish, image: null, mask: null, references: null });
  const files = [];
  if (wish.image) files.push(["image", "picture.png"]);
  if (wish.mask) files.push(["mask", "mask.png"]);
  if (wish.references) files.push(["references", "reference.png"]);
  return { body, files };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const base = () => new URL(".", location.href).href.replace(/\/$/, "");

/** A command for a shell. The key is a variable, never the key itself. */
export function asCurl(wish, keyed) {
  const { body, files } = shown(wish);
  const address = `${base()}/v1/images/${wish.image ? "edits" : "generations"}`;
  const lines = [`curl ${quoted(address)}`];
  if (keyed) lines.push(`-H "Authorization: Bearer $LASCAUX_KEY"`);
  if (files.length) {
    for (const [name, value] of Object.entries(body)) {
      const text = typeof value === "object" ? JSON.stringify(value) : String(value);
      lines.push(`--form-string ${quoted(`${name}=${text}`)}`);
    }
    for (const [name, file] of files) lines.push(`-F ${quoted(`${name}=@${file}`)}`);
  } else {
    lines.push(`-H 'Content-Type: application/json'`, `-d ${quoted(JSON.stringify(body))}`);
  }
  return lines.join(" \\\n  ");
}

const OPENAI = ["model", "prompt", "n", "size"];

/** A program for OpenAI's own client. */
export function asPython(wish, keyed) {
  const { body, files } = shown(wish);
  const own = Object.entries(body).filter(([name]) => OPENAI.includes(name));
  const more = Object.fromEntries(Object.entries(body).filter(([name]) => !OPENAI.includes(name)));
  const shownFiles = files.filter(([name]) => name !== "references");
  const lines = own.map(([name, value]) => `    ${name}=${python(value)},`);
  for (const [name, file] of shownFiles) lines.push(`    ${name}=open("${file}", "rb"),`);
  const extra = Object.entries(more).map(([name, value]) => `${python(name)}: ${python(value)}`);
  if (wish.references) extra.push(`"references": base64.b64encode(open("reference.png", "rb").read()).decode()`);
  if (extra.length) lines.push(`    extra_body={${extra.join(", ")}},`);
  const imports = ["import base64", ...(keyed ? ["import os"] : []), "", "from openai import OpenAI", ""];
  const secret = keyed ? `os.environ["LASCAUX_KEY"]` : `"none-needed"`;
  return [
    ...imports,
    `client = OpenAI(base_url="${base()}/v1", api_key=${secret})`,
    `answer = client.images.${wish.image ? "edit" : "generate"}(`,
    ...lines,
    ")",
    `open("picture.png", "wb").write(base64.b64decode(answer.data[0].b64_json))`,
    "",
  ].join("\n");
}

/** A JSON value as Python writes it. */
function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, item]) => `${python(name)}: ${python(item)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
