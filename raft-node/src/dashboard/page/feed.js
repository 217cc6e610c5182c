// The stream of events, from whichever node lives.
//
// A page that a node served goes on with another one when that node is gone: it remembers the members'
// addresses from the stream. A page that was served alone has one place to go, and waits for it.

const PATH = "/api/dashboard/events";
/** A stream that says nothing for this long is given up: events come at least every 200 ms. */
const SILENCE_MS = 1200;
/** Pauses between rounds in which nobody answered. */
const PAUSES_MS = [200, 400, 800, 1000];

export class Feed {
  #listener;
  #source = null;
  #watchdog = 0;
  #failed = [];
  #rounds = 0;
  #up = new Map();
  #served = false;

  /** The node that sends the stream: its origin, and its name once it has said it. */
  base = location.origin;
  servedBy = null;
  /** Origins by the name of the node, for pages that may use them. */
  origins = new Map();

  /** `listener`: onEvent(event), onLost(id | null), onWaiting(). */
  constructor(listener) {
    this.#listener = listener;
  }

  start() {
    this.#connect(this.base);
  }

  /** Where a request may go, the best first. */
  candidates() {
    const others = [...this.origins].filter(([id]) => this.#up.get(id) !== false).map(([, origin]) => origin);
    return [...new Set([this.base, ...others])];
  }

  #connect(base) {
    this.base = base;
    this.#served = false;
    const source = new EventSource(base + PATH);
    this.#source = source;
    source.addEventListener("cluster", (message) => {
      if (source !== this.#source) return;
      this.#arm();
      this.#take(JSON.parse(message.data));
    });
    source.addEventListener("error", () => {
      if (source === this.#source) this.#lost(true);
    });
    this.#arm();
  }

  #arm() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#lost(false), SILENCE_MS);
  }

  #take(event) {
    this.#served = true;
    this.#failed = [];
    this.#rounds = 0;
    this.servedBy = event.served_by;
    if (event.served_by !== null) {
      for (const member of event.members) {
        if (member.node_id === null) continue;
        const own = member.node_id === event.served_by;
        // The address under which the page reached a node is better than the one its peers use.
        if (own) this.origins.set(member.node_id, this.base);
        else if (!this.origins.has(member.node_id)) this.origins.set(member.node_id, originOf(member.address));
        this.#up.set(member.node_id, member.reach === "up" || member.reach === "unknown");
      }
    }
    this.#listener.onEvent(event);
  }

  /** The stream has ended (`closed`), or says nothing. */
  #lost(closed) {
    this.#source.close();
    this.#source = null;
    clearTimeout(this.#watchdog);
    const id = this.#nameOf(this.base);
    if (id !== null) this.#up.set(id, false);
    // Only a stream that stood tells that its node is gone: one that never began may have been refused.
    if (this.#served) this.#listener.onLost(closed ? id : null);
    this.#failed.push(this.base);
    const next = this.#next();
    if (next !== null) {
      this.#connect(next);
      return;
    }
    this.#failed = [];
    const pause = PAUSES_MS[Math.min(this.#rounds, PAUSES_MS.length - 1)];
    this.#rounds += 1;
    this.#listener.onWaiting();
    setTimeout(() => this.#connect(this.#next() ?? location.origin), pause);
  }

  #nameOf(base) {
    for (const [id, origin] of this.origins) if (origin === base) return id;
    return null;
  }

  /** Whom to try now: those that were up first; null when all have failed. */
  #next() {
    const all = [...this.origins].sort(([a], [b]) => Number(this.#up.get(b)) - Number(this.#up.get(a)));
    const origins = all.length === 0 ? [location.origin] : all.map(([, origin]) => origin);
    return origins.find((origin) => !this.#failed.includes(origin)) ?? null;
  }
}

function originOf(address) {
  return new URL(`${location.protocol}${"/".repeat(2)}${address}`).origin;
}
