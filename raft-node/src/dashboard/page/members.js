// A card a member. Colour, shape and word all say the same of it.

import { age, attribute, byId, duration, h, hidden, number, plural, shape, text } from "./dom.js";
import { lagOf, STATES } from "./model.js";

/** What was heard longer ago than this is called old. */
const OLD_MS = 1000;
/** A follower that the leader has not heard for longer than this is late: heartbeats come far more often. */
const LATE_MS = 500;

/** What is to be known of a member that is not simply a voter; of a learner its state says it. */
const ROLE_NOTES = {
  leaving: "It leaves the cluster: it votes until the change is done.",
  none: "It is no member of the cluster.",
};

const FACTS = [
  ["Term", (status) => number(status.term)],
  ["Log length", (status) => number(status.log_length)],
  ["Commit index", (status) => number(status.commit_index)],
  ["Applied", (status) => number(status.last_applied)],
  ["Keys", (status) => number(status.keys)],
  ["Up for", (status) => age(status.uptime_ms).replace("less than ", "")],
];

class Card {
  constructor() {
    this.shape = shape("unknown");
    this.id = h("h2", {});
    this.state = h("span", { class: "state" });
    this.address = h("p", { class: "address" });
    this.note = h("p", { class: "card-note" });
    this.facts = FACTS.map(() => h("dd", {}, "–"));
    const facts = FACTS.map(([name], at) => h("div", {}, h("dt", {}, name), this.facts[at]));
    this.lag = h("p", { class: "lag" });
    this.element = h("article", { class: "card", "data-state": "unknown" },
      h("header", {}, this.shape, this.id, this.state),
      this.address, h("dl", {}, ...facts), this.lag, this.note);
  }

  show(model, member, now, cut) {
    const { element, facts } = this;
    attribute(element, "data-node", member.id);
    attribute(element, "data-state", member.state);
    attribute(element, "aria-label", `${member.id}: ${STATES[member.state]}`);
    attribute(this.shape.firstChild, "href", `#shape-${member.state}`);
    text(this.id, member.id);
    text(this.state, STATES[member.state]);
    text(this.address, member.address);
    attribute(this.id, "title", member.id);
    attribute(this.address, "title", member.address);
    const old = member.status !== null && (member.reach !== "up" || cut) && now - member.heardAt > OLD_MS;
    attribute(element, "data-old", String(old));
    FACTS.forEach(([, say], at) => text(facts[at], member.status === null ? "–" : say(member.status)));
    const lag = this.#lag(model, member);
    attribute(this.lag, "data-behind", String(lag.behind));
    text(this.lag, lag.says);
    const note = this.#note(member, now, old);
    text(this.note, note);
    hidden(this.note, note === "");
  }

  #lag(model, member) {
    if (member.state === "leader") {
      const followers = Object.values(member.status.peers).filter((peer) => peer.reachable).length;
      return { behind: false, says: followers === 0 ? "Nobody follows" : `Leads ${plural(followers, "other", "others")}` };
    }
    const lag = lagOf(model, member);
    if (lag === null) {
      const looks = model.leader === null && member.reach === "up";
      return { behind: false, says: looks ? "No leader to follow" : "" };
    }
    // A leader that has not heard of a member does not know how far its log is.
    if (lag.contact === null) return { behind: true, says: "The leader has not heard of it" };
    if (lag.gets === "snapshot") return { behind: true, says: "Gets a snapshot from the leader" };
    const says = lag.behind === 0 ? "In step with the leader" : `${plural(lag.behind, "entry", "entries")} behind the leader`;
    const late = lag.contact > LATE_MS ? `, last heard ${duration(lag.contact)} ago` : "";
    return { behind: lag.behind > 0, says: says + late };
  }

  #note(member, now, old) {
    const said = [];
    if (member.role in ROLE_NOTES) said.push(ROLE_NOTES[member.role]);
    if (member.state === "failed") said.push(member.status.failed);
    else if (member.reach !== "up" && member.error !== null) said.push(sentence(member.error));
    if (old) said.push(`What is shown is ${age(now - member.heardAt)} old.`);
    else if (member.status === null && member.reach !== "up") said.push("It has not been heard of since this page was opened.");
    return said.join(" ");
  }
}

/** An error as a sentence of its own. */
function sentence(error) {
  const plain = error.replace(/^cannot connect: /, "").replace(/ \(os error \d+\)/, "");
  const first = plain.charAt(0).toUpperCase() + plain.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export class Members {
  #cards = new Map();

  /** Shows a model. `cut`: no stream says how the members are now. */
  show(model, now, cut) {
    const wanted = model.members.map((member) => {
      const card = this.#cards.get(member.address) ?? new Card();
      this.#cards.set(member.address, card);
      card.show(model, member, now, cut);
      return card.element;
    });
    const grid = byId("members");
    if (wanted.length !== grid.childElementCount || wanted.some((element, at) => grid.children[at] !== element)) {
      grid.replaceChildren(...wanted);
    }
  }
}
