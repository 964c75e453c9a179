// Highlighting for the languages of packages, by the end of a file's name. The
// colours are named in editor.css, for light and dark.
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { tags as t } from "@lezer/highlight";
import { css } from "@codemirror/lang-css";
import { html } from "@codemirror/lang-html";
import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { markdown } from "@codemirror/lang-markdown";
import { c } from "@codemirror/legacy-modes/mode/clike";
import { go } from "@codemirror/legacy-modes/mode/go";
import { toml } from "@codemirror/legacy-modes/mode/toml";

const legacy = (mode) => () => StreamLanguage.define(mode);

const languages = {
  c: legacy(c), h: legacy(c), go: legacy(go), toml: legacy(toml),
  html, htm: html, svg: html, xml: html, css, md: markdown, json,
  js: javascript, mjs: javascript, cjs: javascript,
  ts: () => javascript({ typescript: true }), jsx: () => javascript({ jsx: true }),
};

const colours = HighlightStyle.define([
  { tag: [t.keyword, t.operatorKeyword, t.modifier, t.definitionKeyword, t.moduleKeyword], color: "var(--code-keyword)" },
  { tag: [t.string, t.special(t.string), t.regexp, t.attributeValue], color: "var(--code-string)" },
  { tag: [t.number, t.bool, t.null, t.atom, t.unit, t.color], color: "var(--code-number)" },
  { tag: [t.comment, t.meta, t.processingInstruction], color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [t.function(t.variableName), t.function(t.propertyName), t.definition(t.variableName), t.labelName], color: "var(--code-name)" },
  { tag: [t.typeName, t.className, t.tagName, t.namespace], color: "var(--code-type)" },
  { tag: [t.propertyName, t.attributeName], color: "var(--code-property)" },
  { tag: t.heading, fontWeight: "700" },
  { tag: t.strong, fontWeight: "700" },
  { tag: t.emphasis, fontStyle: "italic" },
  { tag: t.link, textDecoration: "underline" },
  { tag: t.invalid, color: "var(--bad)" },
]);

// languageOf returns what an editor of a file needs to show its language.
export function languageOf(path) {
  const end = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const language = languages[end];
  return [syntaxHighlighting(colours), ...(language ? [language()] : [])];
}
