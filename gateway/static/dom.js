// Elements without markup: whatever came from outside becomes text, never HTML.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. `about` holds attributes, `on` its listeners; null and false leave an attribute out.
 * Children are elements or texts; null is left out.
 */
export function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Put other children in place of those there are. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** A name as people write it: `text_to_image` becomes "Text to image". */
export function words(name) {
  const spaced = String(name).replaceAll("_", " ");
  const plain = spaced === spaced.toUpperCase() ? spaced.toLowerCase() : spaced;
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
