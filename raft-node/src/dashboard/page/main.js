// Ties the parts of the page together: the stream brings models, and each part shows its own of them.

import { Api } from "./api.js";
import { Contents } from "./contents.js";
import { age, attribute, byId, text } from "./dom.js";
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
  const silent = now - heardAt;
  const old = cut && silent > OLD_MS;
  link(old, silent);
  if (model === null) return;
  attribute(document.body, "data-old", String(old));
  members.show(model, now, cut);
  summary.show(model, now, old);
  history.show(model);
  if (old) contents.lost();
  else if (!cut) contents.show(model);
}

/** Where what is shown comes from, and how old it is. */
function link(old, silent) {
  const element = byId("link");
  // Apart from the rest, so that nobody is told of every second that passes.
  text(byId("link-age"), old && model !== null ? `: what is shown is ${age(silent)} old` : "");
  if (!cut) {
    attribute(element, "data-state", "live");
    text(byId("link-text"), followed === null ? "Live" : `Live, from ${followed}`);
  } else if (model === null) {
    attribute(element, "data-state", "connecting");
    text(byId("link-text"), "Connecting");
  } else if (!old) {
    attribute(element, "data-state", "connecting");
    text(byId("link-text"), "Looking for another node");
  } else {
    attribute(element, "data-state", "old");
    text(byId("link-text"), followed === null ? "The dashboard's server does not answer" : "No node answers");
  }
}

feed.start();
setInterval(() => {
  if (cut) show();
}, TICK_MS);
