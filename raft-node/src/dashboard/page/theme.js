// Runs before the page is painted, so that a remembered theme does not flash.
"use strict";
{
  const root = document.documentElement;
  const read = () => {
    try { return localStorage.getItem("raft-theme"); } catch { return null; }
  };
  const write = (theme) => {
    // Where nothing can be remembered, the choice lasts as long as the page.
    try { localStorage.setItem("raft-theme", theme); } catch { /* as said */ }
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const remembered = read();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      const dark = current() === "dark";
      button.querySelector("use").setAttribute("href", dark ? "#icon-sun" : "#icon-moon");
      button.title = dark ? "Light theme" : "Dark theme";
    };
    button.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      write(root.dataset.theme);
      show();
    });
    system.addEventListener("change", show);
    show();
  });
}
