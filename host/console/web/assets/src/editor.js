// The editor of a copy: CodeMirror in place of the page's text field, with
// drafts that keep themselves, a view to merge by, and uploads. Without it the
// page is a form.
import { basicSetup, EditorView } from "codemirror";
import { EditorState } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { indentWithTab } from "@codemirror/commands";
import { MergeView } from "@codemirror/merge";
import { languageOf } from "./lib/language.js";
import { Draft } from "./lib/draft.js";
import { uploads } from "./lib/upload.js";
import "./editor.css";

const look = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--text)", fontSize: "14px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--muted)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--code-line)" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--code-selection) !important" },
  ".cm-selectionMatch": { backgroundColor: "var(--code-line)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-soft)", outline: "1px solid var(--accent)" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--text)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line-strong)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--sunken)", color: "var(--muted)", border: "1px solid var(--line-strong)" },
});

const island = document.getElementById("editor");
if (island) edit(island);
uploads();

function edit(island) {
  const { package: pkg, path, base, nonce, line } = island.dataset;
  const form = document.getElementById("file-form");
  const status = document.getElementById("draft-state");
  const original = form.elements.text.value;
  const lineEnd = island.dataset.cr === "yes" ? "\r\n" : "\n"; // a text field shows all line ends alike
  const ended = (text) => text.replaceAll("\r\n", "\n").replaceAll("\n", lineEnd);
  const common = [EditorView.cspNonce.of(nonce), look, languageOf(path), EditorView.lineWrapping];
  if (lineEnd !== "\n") common.push(EditorState.lineSeparator.of(lineEnd));

  let draft; // set below: the editor tells it of changes
  const view = new EditorView({
    state: EditorState.create({
      doc: ended(original),
      extensions: [
        basicSetup, ...common,
        keymap.of([indentWithTab, { key: "Mod-s", preventDefault: true, run: () => { draft.flush(); return true; } }]),
        EditorView.contentAttributes.of({ "aria-label": "Text of " + path, "aria-describedby": "editor-keys", tabindex: "0" }),
        EditorView.updateListener.of((update) => { if (update.docChanged) draft.changed(); }),
      ],
    }),
    parent: island,
  });
  const read = () => view.state.sliceDoc();
  form.hidden = true;
  document.getElementById("editor-keys").hidden = false;

  function show(state, text) {
    status.textContent = text;
    status.className = "draft-state " + state;
  }

  // replace puts another text in, and leaves alone what both have in common, so
  // that the cursor stays where it was.
  function replace(text) {
    const now = view.state.doc.toString();
    text = text.replaceAll("\r\n", "\n");
    let from = 0;
    while (from < now.length && from < text.length && now[from] === text[from]) from++;
    let end = now.length, endOther = text.length;
    while (end > from && endOther > from && now[end - 1] === text[endOther - 1]) { end--; endOther--; }
    if (from < end || from < endOther) view.dispatch({ changes: { from, to: end, insert: view.state.toText(ended(text.slice(from, endOther))) } });
  }

  draft = new Draft({
    pkg, path, base, read, text: read(), show,
    merged(text, by) {
      replace(text);
      note(`Changes by ${by} were taken in: they did not touch what you changed.`);
    },
    conflict: (details) => decide(details, read(), details.theirs ?? null),
  });

  // A conflict with a new version of the original stands in the text, between
  // marks. It can be decided side by side too.
  const aside = document.querySelector("button[data-merge]");
  if (aside) {
    aside.hidden = false;
    aside.onclick = async () => {
      if (!await draft.flush()) return;
      const answer = await fetch("/api/v1/copies/conflict?" + new URLSearchParams({ package: pkg, path })).catch(() => null);
      if (!answer?.ok) return;
      const details = await answer.json();
      decide(details, details.mine ?? "", read());
    };
  }

  const left = draft.left();
  if (left) {
    // An earlier window was closed, or crashed, before this was sent.
    draft.base = left.base;
    replace(left.text);
    note("This is what you wrote before: it had not reached the server yet.");
    draft.flush();
  }

  if (line) {
    const at = view.state.doc.line(Math.min(Number(line), view.state.doc.lines));
    view.dispatch({ selection: { anchor: at.from }, effects: EditorView.scrollIntoView(at.from, { y: "center" }) });
    view.focus();
  }

  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState === "hidden") {
      if (draft.dirty) draft.flush();
      return;
    }
    const text = await draft.look();
    if (text === null) return;
    replace(text);
    note("The file was changed in another window: this is what it is now.");
  });
  window.addEventListener("pagehide", () => { if (draft.dirty) { draft.keep(); draft.flush(); } });

  // What is saved, tried or compared is the draft as the server has it.
  document.addEventListener("submit", async (event) => {
    if (!event.target.hasAttribute("data-flush") || !draft.dirty) return;
    event.preventDefault();
    if (await draft.flush()) event.target.submit();
    else delete event.target.dataset.sent;
  }, true);

  function note(text) {
    const p = document.getElementById("editor-note");
    p.textContent = text;
    p.hidden = false;
  }

  // decide shows both texts side by side until the owner has made one of them.
  // there is what the server has, null when the file is gone.
  function decide(details, mine, there) {
    const section = document.getElementById("conflict");
    const place = section.querySelector(".merge");
    const by = section.querySelector("[data-by]");
    by.textContent = details.by;
    for (const id of ["editor", "editor-keys", "editor-note"]) document.getElementById(id).hidden = true;
    section.hidden = false;
    place.replaceChildren();
    const side = (label, more) => [
      basicSetup, ...common, ...more, EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
    ];
    const merge = new MergeView({
      a: { doc: details.theirs ?? "", extensions: side("The other version", [EditorState.readOnly.of(true)]) },
      b: { doc: mine, extensions: side("Yours, which becomes the text", [keymap.of([indentWithTab])]) },
      parent: place, revertControls: "a-to-b", gutter: true, collapseUnchanged: { margin: 3, minSize: 6 },
      renderRevertControl() {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = "→";
        button.setAttribute("aria-label", "Take this part over");
        button.title = "Take this part over";
        return button;
      },
    });
    section.querySelector("h2").focus();
    const finish = (text) => {
      merge.destroy();
      section.hidden = true;
      for (const id of ["editor", "editor-keys"]) document.getElementById(id).hidden = false;
      replace(text);
      draft.decided(details.hash, there);
      view.focus();
    };
    section.querySelector("[data-keep=mine]").onclick = () => finish(merge.b.state.sliceDoc());
    section.querySelector("[data-keep=theirs]").onclick = () => finish(details.theirs ?? "");
  }

  if (!draft.dirty) show("saved", "Draft kept");
}
