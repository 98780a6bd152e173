/** Every block of docs/clients.md in Chromium, as it is written there: a file of two chunks and a half arrives by it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { MB, browser, until } from "./support.js";
import { stage } from "./support/widget.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const guide = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
const BLOCKS = [...guide.matchAll(/^## (.*?)\n(?:(?!^## )[^])*?^```js\n([^]*?)^```$/gm)].map(([, title, code]) => ({ title, code }));

/** What the page's author does with what the block makes. */
const GO = {
  "FilePond": "",
  "Dropzone": "zone.addFile(file);",
  "Uppy with `@uppy/xhr-upload`": "uppy.addFile({ name: file.name, type: file.type, data: file }); uppy.upload();",
  "tus-js-client by the IETF's draft": "upload.start();",
};

test("every block of the guide is one that is driven here", () => {
  assert.deepEqual(BLOCKS.map(({ title }) => title), Object.keys(GO));
  assert.equal(guide.match(/^```js$/gm).length, BLOCKS.length);
});

for (const { title, code } of BLOCKS) {
  test(`${title}: the guide's lines send a file`, async (t) => {
    assert.ok(code.includes("http://127.0.0.1:7070/"));
    const stand = await stage(t, chrome, "./guide.page.js", { size: 12.5 * MB });
    await stand.tab.waitForFunction(() => window.ready);
    const [{ path, name, bytes }] = stand.sent;
    if (title !== "FilePond") await stand.tab.setInputFiles("#file", path);
    await stand.tab.evaluate(([code, go]) => window.run(code, go), [code.replace("http://127.0.0.1:7070/", stand.line.url), GO[title]]);
    // FilePond takes the page's own input, and is given files by its own.
    if (title === "FilePond") await stand.tab.setInputFiles(".filepond--browser", path);
    await until(stand.server.stored, (names) => names.length === 1 && names[0] === name && stand.server.read(name).equals(bytes));
  });
}
