// Setting, getting and deleting a key, and what came of it, in words.

import { newName, problemOf, Unreachable } from "./api.js";
import { attribute, byId, bytes, h, hidden, text } from "./dom.js";
import { beginning, kindOf, legible, typed, visible } from "./values.js";

/** Longer values are shown in part. */
const SHOWN = 2000;
const MAX_KEY_BYTES = 4096;

const DOING = { set: "Setting", get: "Getting", delete: "Deleting" };

export class Operations {
  #api;
  #changed;
  #running = 0;
  /** The key that was brought for editing. Its field shows it, but cannot hold line breaks. */
  #exactKey = null;

  /** `changed` is called when a write was acknowledged. */
  constructor(api, changed) {
    this.#api = api;
    this.#changed = changed;
    this.form = byId("operations");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(event.submitter?.value ?? "get");
    });
    this.form.addEventListener("input", () => this.#hint());
    byId("key").addEventListener("input", () => (this.#exactKey = null));
    this.form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#submit("set");
    });
    this.#hint();
  }

  get #kind() {
    return this.form.elements.kind.value;
  }

  #hint() {
    const value = byId("value").value;
    const untouched = value === "" && byId("key").value === "";
    const { json, says, error } = typed(this.#kind, value);
    const hint = byId("stored-as");
    text(hint, untouched ? "Enter gets the key, Ctrl+Enter sets it" : visible(error ?? says));
    attribute(hint, "data-error", String(!untouched && json === undefined));
  }

  /** Fills the form with a key of the store. */
  edit(key, json) {
    const { kind, base64 } = kindOf(json);
    // The field would turn line breaks into others: a string with such stays as JSON, which has escapes for them.
    const plain = kind === "string" && !JSON.parse(json).includes("\r");
    byId("key").value = key;
    this.#exactKey = key;
    this.form.elements.kind.value = plain ? "text" : kind === "bytes" ? "base64" : "json";
    byId("value").value = plain ? JSON.parse(json) : kind === "bytes" ? base64 : json;
    this.#hint();
    byId("value").focus();
    this.form.scrollIntoView({ block: "nearest" });
  }

  /** Deletes a key of the store. */
  delete(key) {
    return this.#run("delete", key, null, newName());
  }

  #submit(what) {
    const key = this.#exactKey ?? byId("key").value;
    const size = new TextEncoder().encode(key).length;
    if (size === 0 || size > MAX_KEY_BYTES) {
      const why = size === 0 ? "A key is needed." : `The key has ${bytes(size)}: at most ${MAX_KEY_BYTES} are accepted.`;
      this.#say("error", why, []);
      byId("key").focus();
      return;
    }
    const value = typed(this.#kind, byId("value").value);
    if (what === "set" && value.json === undefined) {
      this.#say("error", value.error, []);
      byId("value").focus();
      return;
    }
    this.#run(what, key, value.json, newName());
  }

  async #run(what, key, json, name) {
    const turn = (this.#running += 1);
    const slow = setTimeout(() => this.#say("busy", `${DOING[what]} ${quoted(key)} …`, []), 150);
    let said;
    try {
      said = await this.#carryOut(what, key, json, name);
    } catch (error) {
      said = this.#failed(error, what, key, json, name);
    }
    clearTimeout(slow);
    // An answer that comes late is not shown over a later one's.
    if (turn === this.#running) this.#say(...said);
  }

  async #carryOut(what, key, json, name) {
    if (what === "get") return got(key, await this.#api.get(key));
    const answer = what === "set" ? await this.#api.set(key, json, name) : await this.#api.delete(key, name);
    if (answer.status !== 200) return this.#refused(problemOf(answer), answer.status, what, key, json, name);
    const { revision, deleted } = JSON.parse(answer.text);
    this.#changed();
    if (what === "set") return ["done", `Set ${quoted(key)}`, [`Revision ${revision}: a majority has it on disk.`]];
    if (deleted) return ["done", `Deleted ${quoted(key)}`, [`Revision ${revision}.`]];
    return ["missing", `${quoted(key)} was not there`, ["Nothing had to be deleted."]];
  }

  #refused({ title, detail }, status, what, key, json, name) {
    const again = () => this.#run(what, key, json, name);
    if (status === 504) {
      const said = ["The write may or may not have happened.", "Trying again sends the same write, which happens once however often it is sent.", detail];
      return ["unsure", "No answer in time", said, again];
    }
    return ["error", title, [detail], status === 503 || status === 429 ? again : null];
  }

  #failed(error, what, key, json, name) {
    if (!(error instanceof Unreachable)) throw error;
    const again = () => this.#run(what, key, json, name);
    if (!error.maybe) return ["error", "No node could be reached", ["Nothing was asked of the cluster."], again];
    return ["unsure", "No node could be reached", ["The write may or may not have happened: an answer may have been lost on the way.", "Trying again sends the same write, which happens once."], again];
  }

  /** Shows what came of it: a title, sentences or elements, and a way to try again. */
  #say(level, title, details, again = null) {
    const outcome = byId("outcome");
    hidden(outcome, false);
    attribute(outcome, "data-level", level);
    const lines = details.filter((line) => line !== "").map((line) => (typeof line === "string" ? h("p", {}, visible(line)) : line));
    const retry = again === null ? null : h("button", { type: "button", on: { click: again } }, "Try again");
    outcome.replaceChildren(h("p", { class: "title" }, visible(title)), ...lines, ...(retry === null ? [] : [retry]));
  }
}

const quoted = (key) => `“${key.length > 60 ? `${beginning(key, 60)}…` : key}”`;

/** What a get came to. */
function got(key, answer) {
  if (answer.status === 404) return ["missing", `${quoted(key)} is not set`, []];
  if (answer.status !== 200) {
    const { title, detail } = problemOf(answer);
    return ["error", title, [detail]];
  }
  const revision = `Revision ${answer.headers.get("raft-revision") ?? "not told"}.`;
  if ((answer.headers.get("content-type") ?? "").startsWith("application/json")) {
    const { kind } = kindOf(answer.text);
    const article = { null: "", object: "an ", array: "an " }[kind] ?? "a ";
    return ["done", `${quoted(key)} is ${article}${kind}`, [valueBlock(answer.text), revision]];
  }
  const size = `${bytes(answer.body.length)}, as base64`;
  return ["done", `${quoted(key)} is bytes`, [valueBlock(base64Of(answer.body)), `${size}. ${revision}`]];
}

function base64Of(body) {
  let binary = "";
  for (let at = 0; at < body.length; at += 8192) binary += String.fromCharCode(...body.subarray(at, at + 8192));
  return btoa(binary);
}

/** A value, in part at first where it is long. */
export function valueBlock(json, most = SHOWN) {
  const full = visible(legible(json));
  const block = h("pre", { class: "value" }, full.length > most ? `${beginning(full, most)}…` : full);
  if (full.length <= most) return block;
  const all = h("button", { type: "button", class: "plain more", on: { click: () => {
    text(block, full);
    all.remove();
  } } }, `Show all (${bytes(new TextEncoder().encode(json).length)})`);
  return h("div", { class: "long" }, block, all);
}
