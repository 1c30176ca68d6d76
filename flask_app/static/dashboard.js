// The page refreshes itself in place: what is open stays open, focus and place stay. Without JavaScript it reloads.

const SWAPPED = ["as-of", "notice", "sections"];

const every = 1000 * Number(document.querySelector(".freshness").dataset.every);
const button = document.getElementById("pause");
const announcement = document.getElementById("alert-count");
let paused = false;
let alerts = alerted();

document.documentElement.classList.add("js");

button.addEventListener("click", () => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  if (!paused) refresh();
});

document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
setInterval(refresh, Math.max(2000, every));

async function refresh() {
  if (paused || document.visibilityState !== "visible" || selecting()) return;
  const response = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok) return stale();
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (page.getElementById("sections")) swap(page);
}

/** Do not take away a text that somebody is marking. */
function selecting() {
  return !getSelection().isCollapsed;
}

function swap(page) {
  const same = ["as-of", "notice"].every((id) => page.getElementById(id).isEqualNode(document.getElementById(id)));
  if (same) return;
  const focused = place(document.activeElement);
  const open = [...document.querySelectorAll("details[open]")].map((one) => one.id);
  for (const id of open) page.getElementById(id)?.setAttribute("open", "");
  for (const id of SWAPPED) {
    const [now, next] = [document.getElementById(id), page.getElementById(id)];
    now.className = next.className;
    now.replaceChildren(...next.childNodes);
  }
  focused()?.focus({ preventScroll: true });
  announce();
}

/** Return what finds the element again that has the focus, after its part of the page was replaced. */
function place(element) {
  if (!element || !document.getElementById("sections").contains(element)) return () => null;
  const kind = element.tagName.toLowerCase();
  const at = [...document.querySelectorAll(`#sections ${kind}`)].indexOf(element);
  return () => document.querySelectorAll(`#sections ${kind}`)[at];
}

function alerted() {
  return document.querySelectorAll("#sections .alerts > li").length;
}

/** Tell screen readers of alerts, and of nothing else that changes. */
function announce() {
  const now = alerted();
  if (now !== alerts) announcement.textContent = now === 1 ? "1 alert is open" : `${now} alerts are open`;
  alerts = now;
}

function stale() {
  const badge = document.getElementById("as-of");
  badge.classList.add("unavailable");
  badge.title = "The server does not answer; these are the last figures.";
}
