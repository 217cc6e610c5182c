// Runs in each page before its own scripts. Notes what the page shows and when it is drawn, what its policy
// refused, and whether anything that came from the store was executed.
"use strict";
{
  const timeline = [];
  const violations = [];
  const executed = [];
  const text = (selector) => document.querySelector(selector)?.textContent ?? "";

  const shown = () => ({
    link: document.querySelector("#link")?.dataset.state ?? "",
    link_text: text("#link-text"),
    level: document.querySelector("#health")?.dataset.level ?? "",
    sentence: text("#sentence"),
    leader: text("#fact-leader"),
    members: Object.fromEntries(
      Array.from(document.querySelectorAll(".card"), (card) => [card.dataset.node, card.dataset.state]),
    ),
  });

  let last = "";
  let asked = false;
  const note = () => {
    asked = false;
    const now = shown();
    const said = JSON.stringify(now);
    if (said === last) return;
    last = said;
    timeline.push({ at: performance.now(), ...now });
  };
  // A change is noted in the frame that draws it.
  const observer = new MutationObserver(() => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(note);
  });
  observer.observe(document, { attributes: true, characterData: true, childList: true, subtree: true });
  document.addEventListener("securitypolicyviolation", (event) => {
    violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
  });

  const hook = { timeline, violations, executed, run: (what) => executed.push(String(what)) };
  Object.defineProperty(window, "raftTest", { value: hook, enumerable: false });
}
