// Live updates of the console's pages, and nothing else: ages that tick, regions that follow the server, a copy button.
//
// The server says what changed (server-sent events carry topics, never content). Regions of the page that name such a topic in
// data-topics are fetched again from the page's own address and swapped. Markup always comes from the server's templates, which
// escape everything, and arrives as a document of its own in which nothing runs; no string ever becomes markup here, which the
// page's Trusted Types policy enforces.
"use strict";

(() => {
  const page = document.body;
  const status = document.getElementById("live-status");
  const announcer = document.getElementById("announcer");
  const SOON_MS = 120;
  const CALM_MS = 1000;
  const RETRY_MS = 3000;
  const dirty = new Set();
  let timer = 0;
  let busy = false;
  let lastFetch = 0;
  let source = null;

  // ages

  function ageInWords(seconds) {
    if (seconds < 0) { return "just now"; }
    if (seconds < 90) { return `${Math.floor(seconds)} s ago`; }
    if (seconds < 5400) { return `${Math.floor(seconds / 60)} min ago`; }
    if (seconds < 172800) { return `${Math.floor(seconds / 3600)} h ago`; }
    return `${Math.floor(seconds / 86400)} days ago`;
  }

  function tick() {
    const skew = Number(page.dataset.skew || 0);
    for (const element of document.querySelectorAll("time[data-age]")) {
      const at = Date.parse(element.dateTime);
      if (Number.isNaN(at)) { continue; }
      const words = ageInWords((Date.now() + skew - at) / 1000);
      if (element.textContent !== words) { element.textContent = words; }
    }
  }

  // swapping

  function keysOf(region) {
    return new Set(Array.from(region.querySelectorAll("[data-key]"), (element) => element.dataset.key));
  }

  function keep(before, after) {
    for (const element of before.querySelectorAll("details[id]")) {
      const twin = after.querySelector(`details[id="${CSS.escape(element.id)}"]`);
      if (twin) { twin.open = element.open; }
    }
  }

  function swap(before, after) {
    if (before.outerHTML === after.outerHTML) { return; }
    if (before.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) { return; }
    const known = keysOf(before);
    const focused = before.contains(document.activeElement) ? document.activeElement.id : "";
    const left = Array.from(before.querySelectorAll(".scroll"), (element) => element.scrollLeft);
    keep(before, after);
    const fresh = document.importNode(after, true);
    before.replaceWith(fresh);
    fresh.querySelectorAll(".scroll").forEach((element, index) => { element.scrollLeft = left[index] || 0; });
    if (focused) { document.getElementById(focused)?.focus(); }
    const added = Array.from(fresh.querySelectorAll("[data-key]")).filter((element) => !known.has(element.dataset.key));
    added.forEach((element) => element.classList.add("fresh"));
    if (added.length && fresh.dataset.says) {
      const what = added.slice(0, 3).map((element) => element.dataset.name || element.dataset.key).join(", ");
      announcer.textContent = `${fresh.dataset.says}: ${what}${added.length > 3 ? ` and ${added.length - 3} more` : ""}`;
    }
    if (fresh.dataset.state && fresh.dataset.state !== before.dataset.state) {
      announcer.textContent = fresh.dataset.state;
    }
  }

  // The page as the server draws it now; null when it leads elsewhere (the login has ended).
  function ask() {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("GET", location.pathname + location.search);
      request.responseType = "document";
      request.timeout = 20000;
      request.setRequestHeader("X-Holdfast-Live", "1");
      request.onload = () => {
        const moved = new URL(request.responseURL).pathname !== location.pathname;
        if (moved || request.status === 401 || request.status === 403) { resolve(null); return; }
        if (request.status !== 200 || !request.response) { reject(new Error(`status ${request.status}`)); return; }
        resolve(request.response);
      };
      request.onerror = request.ontimeout = () => reject(new Error("no answer"));
      request.send();
    });
  }

  async function refresh() {
    timer = 0;
    if (document.hidden || busy) { return; }
    busy = true;
    lastFetch = Date.now();
    const wanted = new Set(dirty);
    dirty.clear();
    try {
      const next = await ask();
      if (!next) { location.reload(); return; }
      for (const region of document.querySelectorAll("[data-topics]")) {
        const twin = next.getElementById(region.id);
        if (twin && concerns(region, wanted)) { swap(region, twin); }
      }
      tick();
    } catch (error) {
      wanted.forEach((topic) => dirty.add(topic));
      say("interrupted");
    } finally {
      busy = false;
      if (dirty.size) { schedule(RETRY_MS); }
    }
  }

  function concerns(region, topics) {
    return topics.has("*") || region.dataset.topics.split(" ").some((topic) => topics.has(topic));
  }

  function schedule(delay) {
    if (timer) { return; }
    timer = setTimeout(refresh, Math.max(delay, lastFetch + CALM_MS - Date.now()));
  }

  function mark(topics) {
    const known = Array.from(document.querySelectorAll("[data-topics]"));
    const wanted = topics.filter((topic) => known.some((region) => concerns(region, new Set([topic]))));
    if (!wanted.length) { return; }
    wanted.forEach((topic) => dirty.add(topic));
    schedule(SOON_MS);
  }

  // the stream

  const WORDS = {
    live: "Live",
    interrupted: "Not live: trying again",
    connecting: "Connecting",
  };

  function say(word) {
    if (!status || status.dataset.word === word) { return; }
    status.dataset.word = word;
    status.querySelector("span").textContent = WORDS[word];
    status.querySelector("use").setAttribute("href", `/static/icons.svg#${word === "live" ? "eye" : "blind"}`);
  }

  function connect() {
    source = new EventSource(page.dataset.live);
    source.addEventListener("open", () => {
      say("live");
      mark(["*"]); // whatever changed between the drawing of the page and now
    });
    source.addEventListener("changed", (message) => mark(JSON.parse(message.data).topics));
    source.addEventListener("ended", () => location.reload());
    source.addEventListener("error", () => {
      say("interrupted");
      if (source.readyState === EventSource.CLOSED) { setTimeout(connect, RETRY_MS); mark(["*"]); }
    });
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && dirty.size) { schedule(0); }
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) { return; }
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch (error) {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      button.textContent = "Selected: press Ctrl+C";
    }
  });

  const served = Date.parse(page.dataset.now || "");
  if (!Number.isNaN(served)) { page.dataset.skew = String(served - Date.now()); }
  tick();
  setInterval(tick, 1000);
  if (page.dataset.live && "EventSource" in window) { say("connecting"); connect(); }
})();
