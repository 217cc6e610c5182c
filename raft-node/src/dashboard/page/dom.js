// Making and changing elements. Text stays text: nothing here reads it as HTML.

const SVG = document.querySelector("svg").namespaceURI;

export const byId = (id) => document.getElementById(id);

/** Makes an element: attributes by name, `on` for listeners, children that are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** One of the page's drawings. */
export function shape(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "shape");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#shape-${name}`);
  svg.append(use);
  return svg;
}

/** Sets a text where it differs, so that nobody is told of what did not change. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function hidden(element, is) {
  if (element.hidden !== is) element.hidden = is;
}

/** A whole number with its thousands set apart. */
export const number = (value) => (typeof value === "number" ? value.toLocaleString("en-US").replaceAll(",", "\u202f") : "–");

/** How long something took or has been, in the largest unit that says enough. */
export function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago something was, in whole seconds. */
export const age = (ms) => (ms < 1000 ? "less than 1 s" : duration(Math.floor(ms / 1000) * 1000).replace(".0", ""));

/** How many bytes, for people. */
export function bytes(count) {
  if (count < 1024) return count === 1 ? "1 byte" : `${count} bytes`;
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

export const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
