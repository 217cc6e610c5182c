// Values as they are: the text of JSON is shown and sent unchanged, because reading it with JavaScript's
// numbers would turn 1.0 into 1 and lose digits.

/** The end of the string that begins at `start`. */
function stringEnd(json, start) {
  let at = start + 1;
  for (;;) {
    const quote = json.indexOf('"', at);
    if (quote < 0) throw new SyntaxError("a string has no end");
    let slashes = 0;
    while (json[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

/** The end of the value that begins at `start`. */
function valueEnd(json, start) {
  if (json[start] === '"') return stringEnd(json, start);
  let at = start;
  let depth = 0;
  while (at < json.length) {
    const char = json[at];
    if (char === '"') {
      at = stringEnd(json, at);
      continue;
    }
    if (char === "{" || char === "[") depth += 1;
    else if (depth === 0 && (char === "," || char === "}" || char === "]" || char <= " ")) return at;
    else if (char === "}" || char === "]") {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
    at += 1;
  }
  return at;
}

/** The members of an object, in order: each key, and its value's text. */
export function members(json) {
  const found = [];
  const space = (at) => {
    while (json[at] <= " ") at += 1;
    return at;
  };
  let at = space(0);
  if (json[at] !== "{") throw new SyntaxError("not an object");
  at = space(at + 1);
  while (json[at] === '"') {
    const keyEnd = stringEnd(json, at);
    const start = space(space(keyEnd) + 1);
    const end = valueEnd(json, start);
    found.push([JSON.parse(json.slice(at, keyEnd)), json.slice(start, end)]);
    at = space(end);
    if (json[at] === ",") at = space(at + 1);
  }
  return found;
}

const BYTES = /^\{\s*"\$base64"\s*:\s*"([A-Za-z0-9+/]*={0,2})"\s*\}$/;

/** What kind of value a JSON text is, and bytes as base64. */
export function kindOf(json) {
  const bytes = json.startsWith("{") && json.length < 16_000_000 ? BYTES.exec(json) : null;
  if (bytes !== null) return { kind: "bytes", base64: bytes[1] };
  switch (json[0]) {
    case '"': return { kind: "string" };
    case "{": return { kind: "object" };
    case "[": return { kind: "array" };
    case "t": case "f": return { kind: "boolean" };
    case "n": return { kind: "null" };
    default: return { kind: "number" };
  }
}

/** The number of bytes in base64. */
export function base64Size(base64) {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return (base64.length / 4) * 3 - padding;
}

/** A text in which nothing is hidden: what is not seen, or turns the text around, stands as an escape. */
export function visible(text) {
  const hiding = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
  return text.replace(hiding, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A JSON text with its characters as they are, where they can be: only what needs an escape keeps it. */
export function legible(json) {
  return json.replace(/\\(?:u([0-9a-fA-F]{4})|[^u])/g, (escape, hex) => {
    const code = hex === undefined ? 0 : parseInt(hex, 16);
    return code < 0x20 || code === 0x22 || code === 0x5c ? escape : String.fromCharCode(code);
  });
}

/** The beginning of a text, with no character cut in two. */
export function beginning(text, most) {
  const end = /[\ud800-\udbff]/.test(text[most - 1] ?? "") ? most - 1 : most;
  return text.slice(0, end);
}

const shorten = (text, most) => (text.length > most ? `${beginning(text, most)}…` : text);

/**
 * What is typed in the form, as it will be stored: its JSON text and what that is called, or what is wrong
 * with it.
 */
export function typed(kind, text) {
  if (kind === "text") {
    const json = JSON.stringify(text);
    return { json, says: text === "" ? "Stored as the empty string" : `Stored as the string ${shorten(json, 60)}` };
  }
  if (kind === "base64") {
    const compact = text.replace(/\s+/g, "");
    const padded = compact.replaceAll("-", "+").replaceAll("_", "/");
    const right = /^[A-Za-z0-9+/]*={0,2}$/.test(padded) && padded.length % 4 === 0;
    if (!right) return { error: "Not base64: letters, digits, + and /, four to a group, = at the end." };
    const size = base64Size(padded);
    return { json: `{"$base64":"${padded}"}`, says: `Stored as ${size === 1 ? "1 byte" : `${size} bytes`}` };
  }
  const json = text.trim();
  if (json === "") return { error: "JSON is needed: a string stands in quotes." };
  try {
    JSON.parse(json);
  } catch (error) {
    return { error: `Not JSON: ${error.message}` };
  }
  const { kind: name, base64 } = kindOf(json);
  if (name === "bytes") return { json, says: `Stored as bytes: ${base64Size(base64)} of them` };
  const article = { object: "the object", array: "the array", string: "the string", number: "the number", boolean: "the boolean", null: "" }[name];
  return { json, says: `Stored as ${article} ${shorten(json, 60)}`.replace("  ", " ") };
}
