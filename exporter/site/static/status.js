// Keeps the status page up to date, and filters and sorts it without leaving it. The page works without this.
"use strict";
(() => {
  const PARTS = ["accounts-section", "changes", "tally", "listing", "stamp", "as-json", "clear"];
  const PATIENCE_MS = 20000, TYPING_MS = 250, RETRY_MS = 5000, ALIVE_MS = 10000;
  const UNITS = [["year", 31557600], ["month", 2630016], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const form = document.getElementById("filter"), banner = document.getElementById("lost");
  let running = null, nextRefresh = 0, typing = 0, loadedAt = performance.now();
  const stamp = (name) => Number(document.getElementById("stamp").dataset[name]);
  const isReading = () => !(getSelection()?.isCollapsed ?? true);

  async function show(url) {
    running?.abort();
    const mine = running = new AbortController();
    const timer = setTimeout(() => mine.abort(), PATIENCE_MS);
    try {
      const answer = await fetch(url, { signal: mine.signal, credentials: "same-origin" });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!PARTS.every((id) => fresh.getElementById(id))) throw new Error("answered something else");
      if (running === mine) replace(fresh);
    } catch (error) {
      if (running === mine) lost(error.name === "Error" ? error.message : "not answered");
    } finally {
      clearTimeout(timer);
      if (running === mine) running = null;
      schedule();
    }
  }

  function replace(fresh) {
    const focused = document.activeElement, accounts = () => document.getElementById("accounts");
    const scrolled = accounts().scrollTop;
    const main = fresh.querySelector("main"), order = [...main.children].map((each) => each.id);
    document.title = fresh.title;
    for (const id of PARTS) document.getElementById(id).replaceWith(fresh.getElementById(id));
    arrange(main.className, order);
    accounts().scrollTop = scrolled;
    loadedAt = performance.now();
    found();
    follow(fresh.getElementById("filter"));
    if (focused?.isConnected) return;
    const again = focused.id ? `#${focused.id}` : `a[href="${CSS.escape(focused.getAttribute("href") ?? "")}"]`;
    document.querySelector(again)?.focus({ preventScroll: true });
  }

  // A key's own page shows the key first. The form is not moved, because it would lose the focus.
  function arrange(kind, order) {
    const main = document.querySelector("main");
    if (main.className === kind) return;
    main.className = kind;
    const sections = order.map((id) => document.getElementById(id)), fixed = order.indexOf("choose");
    sections[fixed].before(...sections.slice(0, fixed));
    sections[fixed].after(...sections.slice(fixed + 1));
    scrollTo(0, 0);
  }

  // Take over what the fresh form says, except in the field that has the focus.
  function follow(freshForm) {
    for (const theirs of freshForm.elements) {
      const ours = theirs.name && form.elements[theirs.name];
      if (!ours || ours === document.activeElement) continue;
      if (ours.tagName === "SELECT") ours.replaceChildren(...theirs.cloneNode(true).children);
      ours.value = theirs.value;
    }
  }

  function lost(what) {
    if (!banner.hidden) return;
    const since = `${new Date().toISOString().slice(11, 19)} UTC`; // as every other time on the page
    banner.textContent = `The exporter has ${what} since ${since}. This is the last known data.`;
    banner.hidden = false;
    document.body.classList.add("lost");
    schedule();
  }
  function found() {
    banner.hidden = true;
    document.body.classList.remove("lost");
  }

  function schedule() {
    clearTimeout(nextRefresh);
    nextRefresh = setTimeout(refresh, banner.hidden ? stamp("seconds") * 1000 : RETRY_MS);
  }
  function refresh() {
    if (document.hidden || isReading() || typing) schedule();
    else show(location.href);
  }

  function words(seconds) {
    const [unit, length] = UNITS.find((each) => seconds >= 2 * each[1]) ?? UNITS.at(-1);
    const number = Math.floor(Math.max(0, seconds) / length);
    return `${number.toLocaleString("en")} ${unit}${number === 1 ? "" : "s"}`;
  }
  function tick() {
    const now = stamp("now") + (performance.now() - loadedAt) / 1000;
    for (const time of isReading() ? [] : document.querySelectorAll("time[data-at]")) {
      const ahead = time.dataset.at - now;
      const text = ahead > 0 ? `in ${words(ahead)}` : time.dataset.past ?? `${words(-ahead)} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function asked() {
    const wanted = new URLSearchParams([...new FormData(form)].filter(([name, text]) => text && !(name === "sort" && text === "worst")));
    return wanted.size ? `?${wanted}` : "./";
  }
  function go(url, remember) {
    clearTimeout(typing);
    typing = 0;
    history[remember ? "pushState" : "replaceState"](null, "", url);
    show(location.href);
  }
  function search(text) {
    form.elements.q.value = text;
    go(asked(), false);
  }
  function copy(code) {
    getSelection().selectAllChildren(code);
    document.execCommand("copy"); // works without TLS, unlike navigator.clipboard
    getSelection().removeAllRanges();
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
  document.addEventListener("keydown", (event) => {
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape" && (event.target.id === "q" || !inField) && form.elements.q.value) search("");
    if (event.key !== "/" || inField || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    form.elements.q.select();
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches?.(".copy")) copy(event.target.previousElementSibling);
    const link = event.target.closest?.("#tally a, #listing a, #accounts a, #clear");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (link.closest(".nothing, .back, #clear")) form.elements.q.value = "";
    go(link.href, true);
    if (link.closest(".pages")) document.getElementById("keys-title").scrollIntoView();
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  addEventListener("popstate", () => location.hash || show(location.href));
  addEventListener("hashchange", openHelp);
  function openHelp() {
    if (location.hash === "#help") document.getElementById("help").open = true;
  }

  document.documentElement.classList.add("js");
  openHelp();
  schedule();
  setInterval(tick, 1000);
  const alive = () => fetch("./-/healthy", { signal: AbortSignal.timeout(ALIVE_MS) });
  setInterval(() => document.hidden || alive().catch(() => lost("not answered")), ALIVE_MS);
})();
