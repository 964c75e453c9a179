// A file of a draft on its way from the editor to the server. Each change is
// kept in this browser first, and sent when the typing pauses. Every write says
// which content it replaces: the server refuses one that is based on another,
// and answers with both texts.

const pause = 700; // ms without typing
const slowest = 30000; // ms between tries while the server does not answer

// A Draft calls show(state, text) with one of: editing, saving, saved, waiting,
// failed; merged(text) when others' changes fit and were taken in; and
// conflict(details) when they do not.
export class Draft {
  constructor({ pkg, path, base, text, read, show, merged, conflict }) {
    Object.assign(this, { pkg, path, base, read, show, merged, conflict });
    this.sent = text; // what the server has
    this.timer = 0;
    this.tries = 0;
    this.running = null;
    this.stopped = false; // until a conflict is decided
    this.key = `berth-draft ${pkg} ${path}`;
  }

  get url() {
    return "/api/v1/copies/file?" + new URLSearchParams({ package: this.pkg, path: this.path, base: this.base });
  }

  get dirty() { return this.read() !== this.sent; }

  // left returns what an earlier window could not send, if anything.
  left() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key));
      return kept && kept.text !== this.sent ? kept : null;
    } catch {
      return null;
    }
  }

  keep() {
    try {
      localStorage.setItem(this.key, JSON.stringify({ base: this.base, text: this.read() }));
    } catch { /* there is no room, or it is not allowed: the server is asked soon */ }
  }

  forget() {
    try { localStorage.removeItem(this.key); } catch { /* as above */ }
  }

  // changed is called at each change.
  changed() {
    this.keep();
    this.show("editing", "Not kept yet…");
    this.later(pause);
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), ms);
  }

  // flush sends what there is to send. It tells whether the server has it all.
  async flush() {
    clearTimeout(this.timer);
    if (this.running) await this.running;
    while (this.dirty && !this.stopped) {
      this.running = this.send();
      const sent = await this.running;
      this.running = null;
      if (!sent) return false;
    }
    return !this.stopped;
  }

  async send() {
    const text = this.read();
    this.show("saving", "Keeping…");
    let answer;
    try {
      answer = await fetch(this.url, { method: "PUT", body: text, headers: { "Content-Type": "application/octet-stream" }, keepalive: text.length < 30000 });
    } catch {
      return this.again("The server does not answer. Your text is kept in this browser, and sent when it does.");
    }
    if (answer.ok) {
      const file = await answer.json();
      this.sent = text;
      this.base = file.hash;
      this.tries = 0;
      if (!this.dirty) {
        this.forget();
        this.show("saved", "Draft kept");
      }
      document.body.dispatchEvent(new CustomEvent("draft"));
      return true;
    }
    const { error } = await answer.json().catch(() => ({ error: null }));
    if (error?.code === "edit_conflict") return this.meet(error.details, text);
    if (answer.status >= 500) return this.again("The server cannot keep it now. Your text is kept in this browser.");
    if (answer.status === 401) return this.again("You are not logged in any more. Your text is kept in this browser: log in in another tab, and it is sent.");
    this.show("failed", error?.message ?? "It cannot be kept.");
    return false;
  }

  again(why) {
    this.keep();
    this.show("waiting", why);
    this.later(Math.min(slowest, 1000 * 2 ** this.tries++));
    return false;
  }

  // meet brings what somebody else wrote together with what is written here.
  meet(details, text) {
    if (details.clean && details.merged !== undefined && this.read() === text) {
      this.base = details.hash;
      this.sent = details.theirs;
      this.merged(details.merged, details.by);
      return true; // and the merged text is sent next
    }
    this.stopped = true;
    this.keep();
    this.show("failed", "Somebody else changed this file too. Decide below.");
    this.conflict(details);
    return false;
  }

  // decided goes on after a conflict, based on what the server has.
  decided(base, text) {
    this.base = base;
    this.sent = text;
    this.stopped = false;
    return this.flush();
  }

  // look asks whether somebody else has changed the file meanwhile.
  async look() {
    if (this.dirty || this.running || this.stopped) return null;
    const url = "/api/v1/copies/file?" + new URLSearchParams({ package: this.pkg, path: this.path });
    try {
      const answer = await fetch(url);
      if (!answer.ok) return null;
      const hash = answer.headers.get("ETag")?.replaceAll('"', "");
      const text = await answer.text();
      if (hash === this.base || this.dirty) return null;
      this.base = hash;
      this.sent = text;
      return text;
    } catch {
      return null;
    }
  }
}
