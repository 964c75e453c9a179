// The plots of the page Traffic. What they show is on the page as numbers too.
import uPlot from "uplot";

const every = 10_000; // ms: as often as the server looks
const root = document.getElementById("plots");

// Colours are those of the legend, so that they follow the theme.
const colour = (figure, i) => getComputedStyle(figure.querySelectorAll(".legend > span")[i], "::before").backgroundColor;
const textColour = () => getComputedStyle(root).color;
const lineColour = () => getComputedStyle(root.querySelector(".plot")).borderTopColor;

const bytes = (n) => n >= 1e9 ? (n / 1e9).toFixed(1) + " GB" : n >= 1e6 ? (n / 1e6).toFixed(1) + " MB" : n >= 1e3 ? (n / 1e3).toFixed(0) + " kB" : n + " B";
const short = (n) => n.toLocaleString(undefined, { maximumSignificantDigits: 3 });
const millis = (n) => n >= 1000 ? short(n / 1000) + " s" : n >= 0.1 || n === 0 ? short(n) + " ms" : short(n * 1000) + " µs";
const sum = (...lists) => lists[0].map((_, i) => lists.reduce((n, list) => n + list[i], 0));

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// what each plot shows, from the answer of the API
const plots = {
  requests: (s) => ({
    lists: [sum(s.classes["1xx"], s.classes["2xx"]), s.classes["3xx"], s.classes["4xx"], s.classes["5xx"]].map((list) => list.map((n) => n / s.step)),
    value: (n) => n.toLocaleString(undefined, { maximumFractionDigits: 2 }),
  }),
  latency: (s) => ({ lists: [[...s.p50], [...s.p95], [...s.p99]], value: millis }),
  memory: (s) => ({ lists: [[...s.memory]], value: bytes }),
};

function draw(figure, series) {
  const { lists, value } = plots[figure.dataset.plot](series);
  const times = [...series.times];
  while (times.length < 12) { // a young server: let there be a line of time
    times.unshift(times[0] - series.step);
    for (const list of lists) list.unshift(null);
  }
  const place = figure.querySelector(".canvas");
  const text = textColour(), line = lineColour();
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  place.replaceChildren();
  return new uPlot({
    width: place.clientWidth, height: 200,
    padding: [10, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, sync: { key: "traffic" } },
    scales: { y: { range: (u, low, high) => [0, high > 0 ? high * 1.15 : 1] } },
    axes: [{ ...axis, grid: { show: false }, size: 28, space: 70, values: (u, ticks, i, space, step) => ticks.map((t) => (step < 60 ? exact : clock).format(t * 1000)) }, { ...axis, size: 64, values: (u, ticks) => ticks.map(value) }],
    series: [{}, ...lists.map((_, i) => ({ stroke: colour(figure, i), width: 2, fill: lists.length === 1 ? faint(colour(figure, i)) : undefined, points: { show: series.times.length < 4, size: 6 } }))],
    hooks: { setCursor: [(u) => tell(figure, u, value)] },
  }, [times, ...lists], place);
}

function faint(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g);
  return `rgb(${r} ${g} ${b} / 14%)`;
}

// tell writes the numbers under the pointer into the legend.
function tell(figure, u, value) {
  const at = u.cursor.idx;
  figure.querySelectorAll(".legend > span").forEach((span, i) => {
    const n = at == null ? null : u.data[i + 1][at];
    span.dataset.value = n == null ? "" : value(n);
  });
}

let last, drawn = [];

function show() {
  for (const plot of drawn) plot.destroy();
  drawn = [...root.querySelectorAll(".plot")].map((figure) => draw(figure, last));
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(root.dataset.source);
    if (!answer.ok) return;
    const series = await answer.json();
    // The last period is not over yet.
    for (const list of [series.times, series.requests, series.traps, series.p50, series.p95, series.p99, series.memory, ...Object.values(series.classes)]) {
      if (list.length > 1) list.pop();
    }
    last = series;
    show();
    root.dataset.ready = "yes";
  } catch { /* the server is away: the next look may find it */ }
}

if (root) {
  look();
  setInterval(look, every);
  let timer;
  new ResizeObserver(() => { clearTimeout(timer); timer = setTimeout(() => last && show(), 100); }).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => last && show());
}
