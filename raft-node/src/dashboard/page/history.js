// What has happened since the page was opened: the differences between one model and the next.

import { byId, h, hidden, shape } from "./dom.js";

const MOST = 50;

/** What became of a member: null for nothing that is worth an event, or where it was not known what it was. */
function changeOfRole(id, before, after) {
  if (before === null || after === null || before === after) return null;
  if (after === "none") return ["unknown", `${id} is no member any more`];
  if (after === "leaving") return ["unknown", `${id} is to leave`];
  if (after === "learner") return ["learner", before === "none" ? `${id} was added, as a learner` : `${id} is a learner now`];
  return ["follower", before === "none" ? `${id} was added` : `${id} votes now`];
}

/** The events that lead from one model to the next, in words. */
export function differences(before, after) {
  const events = [];
  for (const member of after.members) {
    const known = before.members.find((other) => other.address === member.address);
    const role = known === undefined ? (before.areRolesKnown ? "none" : null) : known.role;
    const changed = changeOfRole(member.id, role, member.role);
    if (changed !== null) events.push(changed);
    if (known === undefined || known.state === member.state) continue;
    if (member.state === "down") events.push(["down", `${member.id} went down`]);
    else if (member.state === "silent") events.push(["silent", `${member.id} does not answer`]);
    else if (member.state === "failed") events.push(["failed", `${member.id} has stopped working`]);
    else if (["down", "silent", "failed"].includes(known.state)) events.push(["follower", `${member.id} is back`]);
  }
  for (const member of before.members) {
    const isGone = !after.members.some((other) => other.id === member.id);
    if (isGone && member.role !== "none") events.push(["unknown", `${member.id} is no member any more`]);
  }
  if (after.leader !== null && (after.leader.id !== before.leader?.id || after.leader.status.term !== before.leader.status.term)) {
    events.push(["leader", `${after.leader.id} leads, in term ${after.leader.status.term}`]);
  } else if (after.leader === null && before.leader !== null) {
    events.push(["candidate", "There is no leader"]);
  }
  return events;
}

export class History {
  #before = null;
  show(model) {
    if (model.level === "unknown") return;
    if (this.#before !== null) {
      for (const [kind, words] of differences(this.#before, model)) this.add(kind, words);
    }
    this.#before = model;
  }

  add(kind, words) {
    const list = byId("history");
    const now = new Date();
    const time = h("time", { datetime: now.toISOString() }, now.toLocaleTimeString("en-GB"));
    list.prepend(h("li", { "data-state": kind }, shape(kind), h("span", { class: "what" }, words), time));
    while (list.childElementCount > MOST) list.lastElementChild.remove();
    hidden(byId("no-history"), true);
  }
}
