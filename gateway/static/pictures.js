// Pictures on their way in: chosen, dropped or pasted, and shown before they are sent.

import { make, words } from "./dom.js";

const TYPES = ["image/png", "image/jpeg", "image/webp"];

/** What is known of a picture: {blob, b64, url, width, height, name}. Throws what a person can read. */
export async function readPicture(blob, name = "picture") {
  if (!TYPES.includes(blob.type)) throw new Error("This is no PNG, JPEG or WebP picture.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    throw new Error("This picture can not be opened.");
  }
  const { width, height } = bitmap;
  bitmap.close();
  return { blob, b64: await base64(blob), url: URL.createObjectURL(blob), width, height, name };
}

/** The content as base64, without the prefix of a data URL. */
export function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** The bytes of base64 as a blob. */
export function blobOf(b64, format) {
  const bytes = Uint8Array.from(atob(b64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: `image/${format}` });
}

/**
 * A place for one picture. `changed` is called when there is another one, or none.
 * Its element is a field like any other, so problems with the picture are shown there.
 */
export class Slot {
  constructor(name, label, changed) {
    this.name = name;
    this.changed = changed;
    this.picture = null;
    this.file = make("input", { id: name, type: "file", accept: TYPES.join(","), "aria-describedby": `problem-${name}` });
    this.file.addEventListener("change", () => this.file.files[0] && this.take(this.file.files[0]));
    this.pick = make("span", {}, "Choose a file");
    this.preview = make("img", { alt: "", hidden: true });
    this.size = make("span", { class: "about" });
    this.remove = make("button", { type: "button", class: "quiet", hidden: true, on: { click: () => this.put(null) } }, "Remove");
    this.remove.setAttribute("aria-label", `Remove ${label.toLowerCase()}`);
    this.choice = make("span", { class: "about" });
    this.problem = make("p", { class: "problem", id: `problem-${name}` });
    this.buttons = make("div", { class: "buttons" }, make("label", { class: "file quiet" }, this.pick, this.file), this.remove);
    this.hint = make("span", { class: "about" }, "Choose a file, drop one here, or paste.");
    this.element = make(
      "div",
      { class: "field slot", id: `at-${name}` },
      make("label", { for: name }, label, this.choice),
      make("div", { class: "drop" }, this.preview, make("div", {}, this.hint, this.size, this.buttons)),
      this.problem,
    );
    this.#listenToDrops();
  }

  #listenToDrops() {
    const drop = this.element.querySelector(".drop");
    for (const event of ["dragenter", "dragover"]) {
      drop.addEventListener(event, (moved) => {
        moved.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (dropped) => {
      dropped.preventDefault();
      drop.classList.remove("over");
      const file = dropped.dataTransfer.files[0];
      if (file) this.take(file);
    });
  }

  /** Read a file and show it, or say why not. */
  async take(file) {
    this.problem.textContent = "";
    try {
      this.put(await readPicture(file, file.name || words(this.name)));
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  /** Show this picture; null for none. */
  put(picture) {
    if (this.picture && this.picture !== picture) URL.revokeObjectURL(this.picture.url);
    this.picture = picture;
    this.file.value = ""; // what is shown need not be what was chosen last, and the same file can be chosen again
    this.pick.textContent = picture ? "Choose another" : "Choose a file";
    this.preview.hidden = this.remove.hidden = !picture;
    this.hint.hidden = Boolean(picture);
    if (picture) this.preview.src = picture.url;
    else this.preview.removeAttribute("src");
    this.preview.alt = picture ? `${words(this.name)}: ${picture.name}` : "";
    this.size.textContent = picture ? `${picture.name}, ${picture.width} × ${picture.height}` : "";
    this.changed(picture);
  }
}
