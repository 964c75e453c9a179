// The live tail of the page Logs. The server has sent what there was; from
// here on lines come as server-sent events, with IDs, so that a break misses nothing.

const most = 2000; // lines on the page
const held = 5000; // lines that wait while it is paused

const log = document.getElementById("log");
const state = document.getElementById("log-state");
const pause = document.getElementById("log-pause");
const copy = document.getElementById("log-copy");

const clock = (at) => at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }) + "." + String(at.getMilliseconds()).padStart(3, "0");

function part(line, name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  line.append(element);
  return element;
}

function lineOf(l) {
  const line = document.createElement("div");
  line.className = "line " + l.level;
  const at = new Date(l.time);
  part(line, "at", clock(at)).title = l.time;
  part(line, "level", l.level);
  part(line, "from", l.route ? l.route + (l.slot === "beta" ? " (beta)" : "") : l.source);
  const said = part(line, "said", l.text);
  if (l.request) {
    const link = document.createElement("a");
    link.className = "request";
    link.href = "/logs?request=" + encodeURIComponent(l.request);
    link.title = "All of this request";
    link.textContent = l.request;
    said.append(" ", link);
  }
  return line;
}

function missedLine(n) {
  const line = document.createElement("p");
  line.className = "missed";
  line.textContent = n + " lines came too fast to be kept.";
  return line;
}

const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 60;
const toEnd = () => { log.scrollTop = log.scrollHeight; };

let paused = false, waiting = [];

function add(elements) {
  document.getElementById("log-empty")?.remove();
  const follow = atEnd();
  log.append(...elements);
  while (log.childElementCount > most) log.firstElementChild.remove();
  if (follow) toEnd();
}

function take(element) {
  if (!paused) {
    add([element]);
    return;
  }
  waiting.push(element);
  if (waiting.length > held) waiting.shift();
  pause.textContent = `Go on (${waiting.length} new)`;
}

function say(text, good) {
  state.hidden = false;
  state.textContent = text;
  state.className = "badge " + (good ? "good" : "warn");
}

if (log) {
  for (const at of log.querySelectorAll(".at")) at.textContent = clock(new Date(at.title));
  toEnd();
  // The lines that are here already come again with the stream.
  let first = true;
  const source = new EventSource(log.dataset.live);
  source.onopen = () => say(paused ? "Paused" : "Live", !paused);
  source.onerror = () => say("No connection, trying again", false);
  source.onmessage = (event) => {
    if (first) {
      log.replaceChildren();
      first = false;
    }
    take(lineOf(JSON.parse(event.data)));
  };
  source.addEventListener("missed", (event) => take(missedLine(JSON.parse(event.data).missed)));
  window.addEventListener("pagehide", () => source.close(), { once: true });

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    say(paused ? "Paused" : "Live", !paused);
    if (!paused) {
      add(waiting);
      waiting = [];
      toEnd();
    }
  });

  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", async () => {
    const text = [...log.querySelectorAll(".line")].map((line) => [...line.children].map((c) => c.textContent).join(" ")).join("\n");
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1500);
  });
}
