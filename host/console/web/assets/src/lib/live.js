// The stream of changes: one for each tab. Parts of the page name in
// hx-trigger what they wait for, as in hx-trigger="job-list from:body", and ask
// for themselves again. The browser comes back by itself after a break, with
// the ID of the last event, and misses nothing.

const patience = 5000; // without a connection, in ms, until the page says so

export function watch(url, notice) {
  const tell = (name) => document.body.dispatchEvent(new CustomEvent(name));
  const jobs = new Map(); // ID → last known state
  let timer = 0;

  const source = new EventSource(url);
  source.onopen = () => {
    clearTimeout(timer);
    timer = 0;
    notice.hidden = true;
  };
  source.onerror = () => {
    timer ||= setTimeout(() => { notice.hidden = false; }, patience);
    if (source.readyState === EventSource.CLOSED) {
      // The server refused: it restarts, or the session has ended.
      setTimeout(() => { watch(url, notice); }, 3000);
    }
  };
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    tell("job-" + job.id);
    if (jobs.get(job.id) !== job.state) {
      jobs.set(job.id, job.state);
      tell("job-list");
      if (job.state !== "running") tell("job-" + job.id + "-ended");
    }
  });
  source.addEventListener("site", () => tell("site"));
  // Parts may have changed that no event is left to tell about.
  source.addEventListener("reset", () => {
    for (const name of ["site", "job-list"]) tell(name);
    for (const element of document.querySelectorAll("[data-job]")) {
      tell("job-" + element.dataset.job);
      tell("job-" + element.dataset.job + "-ended");
    }
  });
  source.addEventListener("hello", () => {
    // Between the page and the stream something may have ended.
    tell("job-list");
    for (const element of document.querySelectorAll("[data-job][hx-get]")) {
      tell("job-" + element.dataset.job);
      tell("job-" + element.dataset.job + "-ended"); // what waits for it looks for itself whether that is so
    }
  });
  for (const other of document.querySelectorAll("[data-event]")) {
    source.addEventListener(other.dataset.event, () => tell(other.dataset.event));
  }
  window.addEventListener("pagehide", () => source.close(), { once: true });
}
