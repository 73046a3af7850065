// Keeps the status page fresh, and filters and sorts it without leaving it. The page works without this.
"use strict";
(() => {
  const PARTS = ["accounts", "tally", "listing", "stamp", "as-json", "clear"];
  const PATIENCE_MS = 20000;
  const TYPING_MS = 250;
  const form = document.getElementById("filter");
  let running = null;
  let nextRefresh = 0;
  let typing = 0;

  async function show(url) {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    const timer = setTimeout(() => mine.abort(), PATIENCE_MS);
    try {
      const answer = await fetch(url, { signal: mine.signal, credentials: "same-origin" });
      if (!answer.ok) throw new Error(`the exporter answered ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!PARTS.every((id) => fresh.getElementById(id))) throw new Error("something else answered");
      if (running === mine) replace(fresh);
    } catch {
      if (running === mine) lost();
    } finally {
      clearTimeout(timer);
      if (running === mine) running = null;
      schedule();
    }
  }

  function replace(fresh) {
    const focused = document.activeElement?.id;
    const scrolled = document.getElementById("accounts").scrollTop;
    document.title = fresh.title;
    for (const id of PARTS) document.getElementById(id).replaceWith(fresh.getElementById(id));
    document.getElementById("accounts").scrollTop = scrolled;
    follow(fresh.getElementById("filter"));
    if (focused && document.activeElement?.id !== focused) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
  }

  // Take over what the fresh form says, except where somebody is at work.
  function follow(freshForm) {
    for (const theirs of freshForm.elements) {
      const ours = theirs.name && form.elements[theirs.name];
      if (!ours || ours === document.activeElement) continue;
      if (ours.tagName === "SELECT") ours.replaceChildren(...theirs.cloneNode(true).children);
      ours.value = theirs.value;
    }
  }

  function lost() {
    const note = document.querySelector("#stamp .lost");
    if (!note.textContent) note.textContent = "No connection. ";
  }

  function schedule() {
    clearTimeout(nextRefresh);
    const seconds = Number(document.getElementById("stamp").dataset.seconds) || 60;
    nextRefresh = setTimeout(refresh, seconds * 1000);
  }

  function refresh() {
    const selection = getSelection();
    const isReading = selection && !selection.isCollapsed;
    if (document.hidden || isReading || typing) schedule();
    else show(location.href);
  }

  function asked() {
    const wanted = new URLSearchParams(new FormData(form));
    for (const [name, text] of [...wanted]) {
      if (!text || (name === "sort" && text === "worst")) wanted.delete(name);
    }
    return wanted.size ? `?${wanted}` : "./";
  }

  function go(url, remember) {
    clearTimeout(typing);
    typing = 0;
    history[remember ? "pushState" : "replaceState"](null, "", url);
    show(location.href);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(asked(), true);
  });
  form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT") go(asked(), true);
  });
  form.addEventListener("input", (event) => {
    if (event.target.name !== "q") return;
    clearTimeout(typing);
    typing = setTimeout(() => go(asked(), false), TYPING_MS);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("#tally a, #listing a, #clear");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.id === "clear") form.elements.q.value = "";
    go(link.href, true);
    if (link.closest(".pages")) document.getElementById("keys-title").scrollIntoView();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
  addEventListener("popstate", () => {
    if (!location.hash) show(location.href);
  });
  addEventListener("hashchange", openHelp);

  function openHelp() {
    if (location.hash === "#help") document.getElementById("help").open = true;
  }

  document.documentElement.classList.add("js");
  openHelp();
  schedule();
})();
