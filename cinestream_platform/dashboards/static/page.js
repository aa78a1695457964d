// Draws the charts of a page, says how long ago times are, and shows new data without a reload.
// Everything that a page says is in its HTML: without this script only these three are missing.

const QUIET_MS = 60000; // an open page is asked for again after so long without news: "late" comes with time alone

const AGO = [[86400, "d"], [3600, "h"], [60, "min"]];

function sayAgo(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const unit = AGO.find(([length]) => Math.abs(seconds) >= length);
    const text = unit ? `${Math.round(seconds / unit[0])} ${unit[1]} ago` : "just now";
    if (seconds < -60) continue;
    time.dataset.ago = text;
  }
}

async function draw(root) {
  const places = [...root.querySelectorAll("[data-chart]")];
  if (places.length && !window.vegaEmbed) return; // the bundle's module runs before this one
  for (const place of places) {
    const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    const options = { mode: "vega-lite", renderer: "svg", ast: true, defaultStyle: false, actions: false };
    await window.vegaEmbed(place, spec, { ...options, tooltip: { disableDefaultStyle: true } });
  }
}

let asking = null;

async function renew() {
  if (asking) return asking;
  asking = (async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 401) return location.reload(); // the session has ended: the server leads to the login
      if (!answer.ok) return say("The warehouse does not answer; what you see is from before.");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      say("Live.");
      if (fresh.body.dataset.mark === document.body.dataset.mark && sameText(fresh)) return;
      document.body.dataset.mark = fresh.body.dataset.mark;
      await exchange(fresh);
    } catch {
      say("The server does not answer; what you see is from before.");
    } finally {
      asking = null;
    }
  })();
  return asking;
}

let shown = null; // the HTML as it came, before charts were drawn into it

function sameText(fresh) {
  return shown !== null && fresh.getElementById("main").innerHTML === shown;
}

async function exchange(fresh) {
  const old = document.getElementById("main");
  const next = document.adoptNode(fresh.getElementById("main"));
  shown = next.innerHTML;
  const open = new Set([...old.querySelectorAll("details[open][id]")].map((one) => one.id));
  for (const one of next.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = true;
  const focused = document.activeElement && old.contains(document.activeElement) ? pathOf(document.activeElement, old) : null;
  old.replaceWith(next);
  sayAgo(next);
  if (focused) elementAt(focused, next)?.focus({ preventScroll: true });
  await draw(next);
}

function pathOf(element, root) {
  const path = [];
  for (let one = element; one !== root; one = one.parentElement) path.unshift([...one.parentElement.children].indexOf(one));
  return path;
}

function elementAt(path, root) {
  return path.reduce((one, index) => one?.children[index], root);
}

function say(text) {
  const place = document.getElementById("live");
  if (place && place.textContent !== text) place.textContent = text;
}

function follow() {
  const mark = document.body.dataset.mark;
  if (!mark) return;
  const stream = new EventSource(`/events?seen=${encodeURIComponent(mark)}`);
  stream.addEventListener("open", () => say("Live."));
  stream.addEventListener("news", renew);
  stream.addEventListener("error", () => say("The server does not answer; what you see is from before."));
  window.addEventListener("pagehide", () => stream.close(), { once: true });
  window.addEventListener("pageshow", (event) => event.persisted && follow(), { once: true });
}

shown = document.getElementById("main").innerHTML;
sayAgo(document);
setInterval(() => { sayAgo(document); }, 30000);
setInterval(() => { if (!document.hidden && document.body.dataset.mark) renew(); }, QUIET_MS);
draw(document).then(() => { document.body.dataset.ready = "yes"; });
follow();
