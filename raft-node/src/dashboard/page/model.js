// What an event of the stream means: who leads, who is up, and how the cluster does, in one sentence.

/** What a member's card shows: its role while it answers, else what is wrong with it. */
function stateOf(member) {
  if (member.reach !== "up") return member.reach;
  if (member.status === null) return "unknown";
  return member.status.failed ? "failed" : member.status.state;
}

export const STATES = {
  leader: "Leader",
  follower: "Follower",
  candidate: "Candidate",
  pre_candidate: "Pre-candidate",
  learner: "Learner",
  down: "Down",
  silent: "Not answering",
  failed: "Failed",
  unknown: "Unknown",
};

const well = (member) => member.reach === "up" && member.state !== "failed";

/** Reads an event that came at `now`. What the sender never heard, the page may know from another one. */
export function read(event, now, before) {
  const members = event.members.map((member) => {
    const known = before?.members.find((other) => other.address === member.address);
    const status = member.status ?? known?.status ?? null;
    const heardAt = member.status !== null ? now - (member.age_ms ?? 0) : (known?.heardAt ?? now);
    const state = stateOf(member);
    const id = member.node_id ?? known?.id ?? member.address;
    return { ...member, id, status, heardAt, state: state in STATES ? state : "unknown" };
  });
  return complete({ servedBy: event.served_by, members });
}

/** The same, with one member known to be gone. */
export function without(model, id, error) {
  const members = model.members.map((member) => {
    return member.id === id ? { ...member, reach: "down", state: "down", error, why: null } : member;
  });
  return complete({ servedBy: model.servedBy, members });
}

function complete({ servedBy, members: seen }) {
  const up = seen.filter(well);
  const newest = up.reduce((best, member) => (best === null || member.status.term > best.status.term ? member : best), null);
  const leader = up
    .filter((member) => member.state === "leader")
    .reduce((best, member) => (best === null || member.status.term > best.status.term ? member : best), null);
  const reference = leader ?? newest;
  const known = (reference ?? seen.find((member) => member.status !== null))?.status.members ?? [];
  const areRolesKnown = known.length > 0;
  const members = seen
    .map((member) => {
      const listed = known.find(({ node_id, address }) => node_id === member.id || address === member.address);
      const role = areRolesKnown ? (listed?.role ?? "none") : null;
      return { ...member, id: member.node_id ?? listed?.node_id ?? member.id, role };
    })
    // Where a member was, nobody need be.
    .filter((member) => member.role !== "none" || member.reach === "up");
  const belong = members.filter((member) => member.role !== "none");
  const voters = areRolesKnown ? known.filter(({ role }) => role === "voter").length : members.length;
  const model = {
    servedBy,
    members,
    areRolesKnown,
    up: belong.filter(well).length,
    total: areRolesKnown ? known.length : members.length,
    voters,
    votersUp: belong.filter((member) => well(member) && (member.role ?? "voter") === "voter").length,
    majority: Math.floor(voters / 2) + 1,
    leader: leader === null ? null : members.find((member) => member.address === leader.address),
    term: up.length === 0 ? null : Math.max(...up.map((member) => member.status.term)),
    commit: up.length === 0 ? null : Math.max(...up.map((member) => member.status.commit_index)),
    keys: reference?.status.keys ?? null,
    clusterId: members.map((member) => member.status?.cluster_id).find((id) => id) ?? null,
  };
  return { ...model, ...judge(model) };
}

function names(members) {
  const all = members.map((member) => member.id);
  return all.length < 3 ? all.join(" and ") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

const are = (members) => (members.length === 1 ? "is" : "are");

function missing(members) {
  const said = [
    ["down", (some) => `${names(some)} ${are(some)} down.`],
    ["silent", (some) => `${names(some)} ${some.length === 1 ? "does" : "do"} not answer.`],
    ["failed", (some) => `${names(some)} ${some.length === 1 ? "has" : "have"} stopped working.`],
  ];
  return said
    .map(([state, say]) => [members.filter((member) => member.state === state), say])
    .filter(([some]) => some.length > 0)
    .map(([some, say]) => say(some))
    .join(" ");
}

/** How the cluster does. A majority is one of those that vote. */
function judge(model) {
  const { up, total, voters, votersUp, majority, leader, members } = model;
  if (members.every((member) => member.reach === "unknown")) {
    return { level: "unknown", sentence: "Asking the members how they are", note: "" };
  }
  const gone = missing(members.filter((member) => member.role !== "none"));
  if (up === 0) {
    return { level: "down", sentence: "No member answers", note: `${gone} Nothing can be read or written.` };
  }
  if (votersUp < majority) {
    const who = voters === total ? `${up} of ${total}` : `${votersUp} of ${voters} that vote`;
    const note = `${gone} ${who} ${votersUp === 1 ? "is" : "are"} up, and ${majority} are needed: nothing can be written, and what is read may be old.`;
    return { level: "down", sentence: "There is no majority", note };
  }
  if (leader === null) {
    return { level: "electing", sentence: "No leader yet: an election is under way", note: gone };
  }
  const spare = votersUp - majority;
  const vote = voters === total ? "" : `${voters} of them ${voters === 1 ? "votes" : "vote"}. `;
  if (up < total) {
    const bears = spare === 0 ? "One more loss would stop all writes." : `${spare} more may be lost.`;
    return { level: "degraded", sentence: `${leader.id} leads, ${up} of ${total} members are up`, note: `${gone} ${bears}` };
  }
  if (total === 1) {
    return { level: "ok", sentence: `${leader.id} is up, and alone`, note: "A cluster of one bears no loss." };
  }
  const bears = spare === 0 ? "none may be lost" : spare === 1 ? "one may be lost" : `${spare} may be lost`;
  return { level: "ok", sentence: `All ${total} members are up, ${leader.id} leads`, note: `${vote}A majority is ${majority}, so ${bears}.` };
}

/** How a member follows, as the leader sees it; null where nobody can say. */
export function lagOf(model, member) {
  const leader = model.leader;
  const peer = leader === null ? undefined : leader.status.peers[member.id];
  if (peer === undefined) return null;
  return {
    behind: Math.max(0, leader.status.last_log_index - peer.match_index),
    contact: peer.last_contact_ms,
    gets: peer.state,
  };
}
