// Ties the parts of the page together: the stream brings models, and each part shows its own of them.

import { Api } from "./api.js";
import { Contents } from "./contents.js";
import { attribute, byId, duration, text } from "./dom.js";
import { Feed } from "./feed.js";
import { History } from "./history.js";
import { Members } from "./members.js";
import { read, without } from "./model.js";
import { Operations } from "./operations.js";
import { Summary } from "./summary.js";

/** What was heard longer ago than this is called old. */
const OLD_MS = 1500;
/** How often ages are brought up to date while nothing comes. */
const TICK_MS = 500;

let model = null;
let heardAt = 0;
let cut = true;
let followed = null;

const feed = new Feed({
  onEvent(event) {
    heardAt = Date.now();
    cut = false;
    if (followed !== null && event.served_by !== followed) history.add("follower", `This page follows ${event.served_by} now`);
    followed = event.served_by;
    model = read(event, heardAt, model);
    show();
  },
  onLost(id) {
    cut = true;
    // The node's end closed the stream: that is known here before any other node tells.
    if (model !== null && id !== null) model = without(model, id, "its connection to this page was closed");
    show();
  },
  onWaiting() {
    cut = true;
    show();
  },
});

const api = new Api(feed);
const operations = new Operations(api, () => contents.refresh());
const contents = new Contents(api, operations);
const history = new History();
const members = new Members();
const summary = new Summary();

function show() {
  const now = Date.now();
  const age = now - heardAt;
  link(age);
  if (model === null) return;
  const old = cut && age > OLD_MS;
  attribute(document.body, "data-old", String(old));
  members.show(model, now, cut);
  summary.show(model, now);
  if (cut) return;
  history.show(model);
  contents.show(model);
}

/** Where what is shown comes from, and how old it is. */
function link(age) {
  const element = byId("link");
  if (!cut) {
    attribute(element, "data-state", "live");
    text(byId("link-text"), followed === null ? "Live" : `Live, from ${followed}`);
  } else if (model === null) {
    attribute(element, "data-state", "connecting");
    text(byId("link-text"), "Connecting");
  } else if (age <= OLD_MS) {
    attribute(element, "data-state", "connecting");
    text(byId("link-text"), "Looking for another node");
  } else {
    attribute(element, "data-state", "old");
    const server = followed === null ? "The dashboard's server does not answer" : "No node answers";
    text(byId("link-text"), `${server}: what is shown is ${duration(Math.floor(age / 1000) * 1000)} old`);
  }
}

feed.start();
setInterval(() => {
  if (cut) show();
}, TICK_MS);
