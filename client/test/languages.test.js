/** The languages are complete, and each is chosen by the page's own. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import english from "../dumbwaiter.en.js";
import german from "../dumbwaiter.de.js";
import spanish from "../dumbwaiter.es.js";
import french from "../dumbwaiter.fr.js";
import { browser, file, folder, open, serve } from "./support.js";
import { html } from "./support/project.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const OTHERS = { de: german, es: spanish, fr: french };

/** What stands for something that is put in. */
const gaps = (text) => (text.match(/\{\d\}/g) ?? []).sort();

/** All texts by the path of their keys. */
function textsOf({ errors, ...texts }) {
  const said = Object.entries(errors).flatMap(([code, [what, act]]) => [[`${code} what`, what], [`${code} act`, act]]);
  return new Map([...Object.entries(texts), ...said]);
}

for (const [language, table] of Object.entries(OTHERS)) {
  test(`${language} says all that English says, with the same gaps, and nothing of it in English`, () => {
    const [theirs, ours] = [textsOf(english), textsOf(table)];
    assert.deepEqual([...ours.keys()].sort(), [...theirs.keys()].sort());
    assert.equal(table.language, language);
    // A word that both languages write alike.
    const alike = new Set(["language", "uploading", "error"]);
    for (const [key, text] of theirs) {
      assert.deepEqual(gaps(ours.get(key)), gaps(text), key);
      assert.equal(ours.get(key) === "", text === "", key);
      if (text && !alike.has(key)) assert.notEqual(ours.get(key), text, key);
    }
  });
}

test("a code that has words is one of the server's, of an answer on the way, or of the browser's own", () => {
  const codes = [...readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8").matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  const own = ["connection_lost", "file_unreadable", "foreign_answer", "gone", "no_ticket", "other"];
  for (const code of Object.keys(english.errors)) assert.ok([...codes, ...own].includes(code) || /^http_\d{3}$/.test(code), `${code} is unknown`);
});

const SAYS = { de: "Angekommen", "DE-at": "Angekommen", "es-MX": "Recibido", "fr-CA": "Arrivé", en: "Arrived", pt: "Arrived", "": "Arrived" };

test("the page's language chooses the words, and English stands in for those that there are not", async (t) => {
  const form = '<form data-dumbwaiter action="/upload" method="post" enctype="multipart/form-data"><label>File <input type="file" name="f"></label><button>Go</button></form>';
  const dir = folder(t);
  writeFileSync(join(dir, "index.html"), "home");
  const names = Object.keys(SAYS).map((lang, at) => [lang, `${at}.html`]);
  for (const [lang, name] of names) writeFileSync(join(dir, name), html(`${form}<script type="module" src="/dumbwaiter.js"></script>`, lang));
  const server = await serve(t, "--page", dir);
  for (const [lang, name] of names) {
    const page = await open(t, chrome, `${server.url}${name}`);
    await page.setInputFiles("input", file(folder(t), "paella.bin", 1_234_567).path);
    await page.getByRole("button", { name: "Go" }).click();
    await page.locator("dumbwaiter-progress[state=done]").getByText(SAYS[lang]).first().waitFor();
    const text = await page.locator("dumbwaiter-progress").evaluate(({ shadowRoot }) => shadowRoot.querySelector("[part~=status]").textContent);
    assert.match(text.replaceAll(/[\u00a0\u202f]/g, " "), lang.startsWith("fr") ? /1,2 Mo/ : /^de/i.test(lang) ? /1,2 MB/ : /1[.,]2 MB/, lang);
  }
});
