// The top of the page: how the cluster does, and what is in the way.

import { attribute, byId, h, hidden, number, text } from "./dom.js";

/** An election is over before anybody could read why there is one: reasons are shown after this time. */
const PATIENCE_MS = 1000;

/** What can be said of a cluster of which nothing is heard. */
const OUT_OF_SIGHT = {
  level: "lost",
  sentence: "The cluster is out of sight",
  note: "How it does is not known. What is shown is what was last heard; this page keeps trying.",
};

export class Summary {
  #leaderlessSince = null;
  #shownReasons = "";

  /** Shows a model. `old`: nothing was heard for so long that it says nothing of the cluster as it is. */
  show(known, now, old) {
    const model = old && known.up > 0 ? { ...known, ...OUT_OF_SIGHT } : known;
    attribute(byId("health"), "data-level", model.level);
    text(byId("sentence"), model.sentence);
    text(byId("health-note"), model.note);
    text(byId("fact-leader"), model.leader?.id ?? "none");
    text(byId("fact-term"), number(model.term));
    text(byId("fact-commit"), number(model.commit));
    text(byId("fact-up"), `${model.up} of ${model.total}`);
    text(byId("fact-keys"), number(model.keys));
    text(byId("cluster-id"), model.clusterId === null ? "" : `cluster ${model.clusterId.slice(0, 8)}`);
    byId("cluster-id").title = model.clusterId ?? "";
    document.title = `${model.level === "ok" ? "" : "⚠ "}Raft: ${model.sentence}`;
    this.#reasons(model, now);
  }

  #reasons(model, now) {
    if (model.leader !== null || model.level === "unknown") this.#leaderlessSince = null;
    else this.#leaderlessSince ??= now;
    const waited = this.#leaderlessSince !== null && now - this.#leaderlessSince > PATIENCE_MS;
    const asked = model.leader !== null ? [model.leader] : waited ? model.members : [];
    const answers = asked
      .filter((member) => member.why !== null && member.reach === "up")
      .filter((member) => member.why.reasons.length > 0 || !member.why.ok);
    hidden(byId("reasons"), answers.length === 0);
    const title = model.leader === null ? "Why there is no leader" : "What is in the way";
    text(byId("reasons-title"), title);
    const said = JSON.stringify(answers.map((member) => [member.id, member.why]));
    if (said === this.#shownReasons) return;
    this.#shownReasons = said;
    byId("reasons-list").replaceChildren(...answers.map(answer));
  }
}

/** What one member says. */
function answer(member) {
  const { reasons, summary } = member.why;
  const items = reasons.map(({ detail, advice }) =>
    h("li", {}, h("p", { class: "detail" }, detail), advice === "" ? null : h("p", { class: "advice" }, advice)));
  return h("div", { class: "answer", "data-node": member.id },
    h("h3", {}, `${member.id} says`),
    items.length > 0 ? h("ul", {}, ...items) : h("p", { class: "detail" }, summary));
}
