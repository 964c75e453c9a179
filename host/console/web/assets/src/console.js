// What the pages do in the browser beside htmx: the stream of changes, the
// search by Ctrl-K, times in the reader's zone, and small helps. Everything
// works without it; forms are plain forms.
import htmx from "htmx.org/dist/htmx.esm.js";
import { watch } from "./lib/live.js";
import { search } from "./lib/search.js";

htmx.config.mode = "same-origin";
htmx.config.includeIndicatorCSS = false;
htmx.config.history = false;
window.htmx = htmx;

const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// dress brings what the server sent to life: the whole page, then each part
// that htmx swaps in.
function dress(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    time.title = time.dateTime;
    time.textContent = zoned.format(at);
  }
  for (const button of root.querySelectorAll("button[data-show]")) {
    button.hidden = false;
  }
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = !navigator.clipboard;
  }
}

document.addEventListener("click", (event) => {
  const show = event.target.closest("button[data-show]");
  if (show) {
    const input = document.getElementById(show.dataset.show);
    const hidden = input.type === "password";
    input.type = hidden ? "text" : "password";
    show.textContent = hidden ? "Hide" : "Show";
    return;
  }
  const copy = event.target.closest("button[data-copy]");
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy).then(() => {
      const before = copy.textContent;
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = before; }, 1500);
    });
    return;
  }
  // Menus close when something else is clicked.
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A form is sent once: a second click while the first is on its way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("data-again")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

document.addEventListener("htmx:after:swap", () => dress(document));

// On a narrow window the places are a row to scroll.
document.querySelector(".places a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

dress(document);
search();
const live = document.body.dataset.live;
if (live) watch(live, document.getElementById("connection"));
