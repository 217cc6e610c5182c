// What the store holds, a page at a time.

import { problemOf, Unreachable } from "./api.js";
import { attribute, byId, bytes, h, hidden, text } from "./dom.js";
import { base64Size, beginning, kindOf, legible, members, visible } from "./values.js";

const ROWS = 20;
/** Of values and keys that are much longer than this, so much is shown. */
const VALUE_SHOWN = 120;
const KEY_SHOWN = 80;
/** A page that changes is read again at most this often; one that is large, more rarely. */
const AGAIN_MS = 700;
const LARGE = 256 * 1024;
const LARGE_AGAIN_MS = 10_000;

export class Contents {
  #api;
  #operations;
  /** Where the pages before this one began. */
  #before = [];
  #after = null;
  #next = null;
  #prefix = "";
  #reading = null;
  #readAt = 0;
  #pause = AGAIN_MS;
  #timer = 0;
  #seen = "";
  #shown = "";

  constructor(api, operations) {
    this.#api = api;
    this.#operations = operations;
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    byId("prefix").addEventListener("input", () => this.#filter(byId("prefix").value));
    byId("next").addEventListener("click", () => {
      this.#before.push(this.#after);
      this.#turn(this.#next);
      toTop();
    });
    byId("previous").addEventListener("click", () => {
      this.#turn(this.#before.pop() ?? null);
      toTop();
    });
  }

  /** Reads again if the cluster has moved on since it was read. */
  show(model) {
    const seen = JSON.stringify([model.commit, model.leader?.id, model.level]);
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#soon(this.#pause);
  }

  /** Says that what it shows is old, until the cluster is seen again. */
  lost() {
    this.#seen = "";
    this.#cannot("No node answers: what is shown is old");
  }

  /** Reads again as soon as may be. */
  refresh() {
    this.#soon(0);
  }

  #filter(prefix) {
    this.#prefix = prefix;
    this.#before = [];
    this.#turn(null, 120);
  }

  #turn(after, wait = 0) {
    this.#after = after;
    this.#reading?.abort();
    this.#soon(wait);
  }

  #soon(pause) {
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => this.#soon(0), { once: true });
      return;
    }
    const wait = pause === 0 ? 0 : Math.max(0, this.#readAt + pause - Date.now());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), wait);
  }

  async #read() {
    this.#reading?.abort();
    const reading = (this.#reading = new AbortController());
    const ask = { prefix: this.#prefix, after: this.#after, limit: ROWS, signal: reading.signal };
    byId("contents").setAttribute("aria-busy", "true");
    try {
      let answer = await this.#api.list({ ...ask, stale: false });
      // Without a majority nobody knows what is current: better old than nothing, and said to be so.
      const old = answer.status === 503 || answer.status === 504;
      if (old) answer = await this.#api.list({ ...ask, stale: true });
      if (answer.status === 200) this.#take(answer.text, old);
      else this.#cannot(problemOf(answer).detail);
    } catch (error) {
      if (reading.signal.aborted) return;
      if (!(error instanceof Unreachable)) throw error;
      this.#cannot("No node answers: what is shown is old");
    } finally {
      if (this.#reading === reading) {
        this.#reading = null;
        this.#readAt = Date.now();
        byId("contents").setAttribute("aria-busy", "false");
      }
    }
  }

  #cannot(why) {
    text(byId("as-of"), why);
    attribute(byId("contents"), "data-old", "true");
  }

  #take(json, old) {
    this.#pause = json.length > LARGE ? LARGE_AGAIN_MS : AGAIN_MS;
    const page = new Map(members(json));
    const rows = members(page.get("state_machine"));
    this.#next = page.has("after") ? JSON.parse(page.get("after")) : null;
    const revision = page.get("revision");
    attribute(byId("contents"), "data-old", String(old));
    const first = this.#before.length * ROWS + 1;
    const which = rows.length === 0 ? "" : `${first}–${first + rows.length - 1} · `;
    const asOf = old ? "May be old: no majority confirms it" : `As of revision ${revision}`;
    text(byId("as-of"), which + asOf);
    byId("next").disabled = this.#next === null;
    byId("previous").disabled = this.#before.length === 0;
    hidden(byId("pager"), this.#next === null && this.#before.length === 0);
    this.#empty(rows.length);
    // Rows that are the same stay: what is open in them stays open, and the keyboard where it is.
    const shown = page.get("state_machine");
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#lay(rows);
    }
  }

  #empty(count) {
    const [title, hint] = this.#after !== null ? ["No more keys", "The ones that were here are deleted."]
      : this.#prefix !== "" ? [`No key starts with “${visible(this.#prefix)}”`, "Capital and small letters are different."]
      : ["The store is empty", "Set a first key: it is shown here once a majority has it on disk."];
    text(byId("empty-title"), title);
    text(byId("empty-hint"), hint);
    hidden(byId("empty"), count > 0);
  }

  #lay(rows) {
    const list = byId("rows");
    const standing = new Map(Array.from(list.children, (row) => [row.dataset.key, row]));
    const wanted = rows.map(([key, json]) => {
      const same = standing.get(key);
      return same?.raftValue === json ? same : this.#row(key, json);
    });
    list.replaceChildren(...wanted);
  }

  #row(key, json) {
    const { kind, base64 } = kindOf(json);
    const size = kind === "bytes" ? base64Size(base64) : null;
    const value = h("span", { class: "value" });
    if (kind === "bytes") reveal(value, base64, VALUE_SHOWN, size);
    else reveal(value, json, VALUE_SHOWN, null, legible);
    const name = h("span", { class: "key" });
    reveal(name, key, KEY_SHOWN, null);
    const label = size === null ? kind : bytes(size);
    const row = h("li", { "data-key": key, "data-kind": kind },
      name, value, h("span", { class: "kind" }, label),
      h("span", { class: "actions" },
        h("button", { type: "button", class: "plain", "aria-label": `Edit ${named(key)}`, on: { click: () => this.#operations.edit(key, json) } }, "Edit"),
        remover(named(key), () => this.#operations.delete(key))));
    row.raftValue = json;
    return row;
  }
}

const named = (key) => visible(beginning(key, KEY_SHOWN));

/** The top of the contents, where a turned page begins. */
function toTop() {
  const panel = byId("contents");
  if (panel.getBoundingClientRect().top < 0) panel.scrollIntoView();
}

/**
 * Shows a text, at first about `most` characters of it where it is longer. `size`: its bytes, where they are not
 * those of the text. `form`: how it is written, in which a character may stand for six.
 */
function reveal(element, full, most, size, form = (text) => text) {
  const start = form(full.slice(0, 6 * most));
  if (full.length <= 6 * most && start.length <= 1.25 * most) {
    element.append(visible(start));
    return;
  }
  const short = `${visible(beginning(start, most))}…`;
  const part = h("span", {}, short);
  const length = size ?? new TextEncoder().encode(full).length;
  let open = false;
  const more = h("button", { type: "button", class: "plain more", "aria-expanded": "false" });
  const label = () => text(more, open ? "Show less" : `Show all ${bytes(length)}`);
  more.addEventListener("click", () => {
    open = !open;
    more.setAttribute("aria-expanded", String(open));
    text(part, open ? visible(form(full)) : short);
    label();
  });
  label();
  element.append(part, " ", more);
}

/** A button that deletes when it is pressed a second time. */
function remover(name, remove) {
  let armed = 0;
  const button = h("button", { type: "button", class: "plain danger", "aria-label": `Delete ${name}` }, "Delete");
  const disarm = () => {
    clearTimeout(armed);
    armed = 0;
    button.removeAttribute("data-armed");
    text(button, "Delete");
    attribute(button, "aria-label", `Delete ${name}`);
  };
  button.addEventListener("click", () => {
    if (armed !== 0) {
      disarm();
      remove();
      return;
    }
    button.setAttribute("data-armed", "");
    text(button, "Really?");
    attribute(button, "aria-label", `Really? Press again to delete ${name}`);
    armed = setTimeout(disarm, 3000);
  });
  button.addEventListener("blur", disarm);
  return button;
}
