// Requests to the store, through whichever node lives.

/** How long a node may take before it says that it could not. */
const NODE_MS = 4000;
/** How long one node may take to answer at all. */
const ATTEMPT_MS = 5000;

/** No node answered. `maybe`: one may have carried the request out all the same. */
export class Unreachable extends Error {
  constructor(maybe) {
    super("No node could be reached.");
    this.maybe = maybe;
  }
}

/** A name for a write, by which its repetitions are known as the same. */
export function newName() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return "dashboard-" + Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Api {
  #feed;

  constructor(feed) {
    this.#feed = feed;
  }

  /** Sets a key to a JSON text. Sent again under the same name it happens once. */
  set(key, json, name) {
    return this.#write("/api/set", `{"key":${JSON.stringify(key)},"value":${json}}`, name);
  }

  delete(key, name) {
    return this.#write("/api/delete", `{"key":${JSON.stringify(key)}}`, name);
  }

  get(key) {
    return this.#send(`/api/raw/${encodeURIComponent(key)}?timeout_ms=${NODE_MS}`, {});
  }

  /** A page of the store. `stale`: as the asked node has it. */
  list({ prefix, after, limit, stale, signal }) {
    const query = new URLSearchParams({ bytes: "base64", limit: String(limit), timeout_ms: String(stale ? 1000 : 1500) });
    if (prefix !== "") query.set("prefix", prefix);
    if (after !== null) query.set("after", after);
    if (stale) query.set("consistency", "stale");
    return this.#send(`/api/state_machine?${query}`, { signal });
  }

  #write(path, body, name) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": name };
    return this.#send(`${path}?timeout_ms=${NODE_MS}`, { method: "POST", body, headers });
  }

  async #send(path, options) {
    let maybe = false;
    for (const base of this.#feed.candidates()) {
      const limit = AbortSignal.timeout(ATTEMPT_MS);
      const signal = options.signal ? AbortSignal.any([limit, options.signal]) : limit;
      try {
        const response = await fetch(base + path, {
          ...options, signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
        });
        const body = new Uint8Array(await response.arrayBuffer());
        const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(body);
        return { status: response.status, headers: response.headers, body, text, base };
      } catch (error) {
        if (options.signal?.aborted) throw error;
        maybe ||= options.method === "POST";
      }
    }
    throw new Unreachable(maybe);
  }
}

/** The problem in an answer that is not 200: its code, title and detail. */
export function problemOf(answer) {
  try {
    const { code, title, detail } = JSON.parse(answer.text);
    return { code: String(code), title: String(title), detail: String(detail) };
  } catch {
    return { code: "", title: `Status ${answer.status}`, detail: answer.text.slice(0, 500) };
  }
}
