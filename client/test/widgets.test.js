/** The widgets' pages (examples/widgets) in Chromium, served by the real binary itself. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BINARY, MB, browser, file, folder, open, serve, until } from "./support.js";

const HERE = fileURLToPath(new URL("../../examples/widgets/", import.meta.url));
const FLAGS = ["--page", `${HERE}page`];
const AXE = fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url));

let chrome;
before(async () => {
  const { status, stderr } = spawnSync("npm", ["run", "vendor"], { cwd: HERE, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  chrome = await browser();
});
after(() => chrome?.close());

/** Each widget: its page, where its file goes in, what makes it send, and how the server calls its way in. */
const WIDGETS = [
  ["FilePond, plain", "filepond.html", ".filepond--browser >> nth=0", null, "filepond"],
  ["FilePond, in chunks", "filepond.html", ".filepond--browser >> nth=1", null, "filepond"],
  ["Dropzone, plain", "dropzone.html", "input.dz-hidden-input >> nth=0", null, "form"],
  ["Dropzone, in chunks", "dropzone.html", "input.dz-hidden-input >> nth=1", null, "dropzone"],
  ["Uppy, by form", "uppy.html", "#xhr .uppy-Dashboard-input >> nth=0", "#xhr .uppy-StatusBar-actionBtn--upload", "form"],
  ["Uppy, by tus", "uppy.html", "#tus .uppy-Dashboard-input >> nth=0", "#tus .uppy-StatusBar-actionBtn--upload", "tus"],
  ["tus-js-client", "tus.html", "#file", null, "ietf"],
];

/** Opens a widget's page, gives it a file, and waits until the page shows what the server says of its end. */
async function send(page, [, , input, button], sent, end = "done") {
  await page.locator(input).setInputFiles(sent.path);
  if (button) await page.locator(button).click();
  await page.locator(`#server .${end}`).waitFor();
}

for (const widget of WIDGETS) {
  const [name, path, , , protocol] = widget;
  test(`${name}: a file arrives through its page, which shows what the server says`, async (t) => {
    const server = await serve(t, ...FLAGS);
    const page = await open(t, chrome, server.url + path);
    const sent = file(folder(t), "ein Gericht 料理.bin", 2.5 * MB);
    const records = [];
    page.on("response", async (answer) => {
      if (answer.url().includes("/uploads?")) records.push(await answer.text().catch(() => ""));
    });
    await send(page, widget, sent);
    assert.equal(await page.locator("#server .done .name").innerText(), sent.name);
    assert.equal(await page.locator("#server progress").evaluate((bar) => bar.value), 1);
    assert.deepEqual(server.stored(), [sent.name]);
    assert.ok(server.read(sent.name).equals(sent.bytes));
    await until(() => records.join(""), (text) => text.includes(`"protocol":"${protocol}"`));
  });

  test(`${name}: its page says why a file is refused`, async (t) => {
    const server = await serve(t, "--max-file-size", "1MB", ...FLAGS);
    const page = await open(t, chrome, server.url + path);
    const [, , input, button] = widget;
    await page.locator(input).setInputFiles(file(folder(t), "paella.bin", 2.5 * MB).path);
    if (button) await page.locator(button).click();
    const said = page.locator("main").getByText(/larger than the 1\.0 MB taken here/).first();
    await said.waitFor({ state: "attached" });
    assert.deepEqual(server.stored(), []);
  });
}

test("what went up in chunks is in FilePond again after a reload, and is undone from there", async (t) => {
  const server = await serve(t, ...FLAGS);
  const page = await open(t, chrome, `${server.url}filepond.html`);
  const sent = file(folder(t), "paella.bin", 2.5 * MB);
  await send(page, WIDGETS[1], sent);
  await page.locator("[data-filepond-item-state=processing-complete]").waitFor();
  await page.reload();
  await page.locator(".filepond--file-info-main", { hasText: sent.name }).waitFor();
  await page.locator(".filepond--action-revert-item-processing").click();
  await until(server.stored, (names) => names.length === 0);
});

test("axe finds nothing on the widgets' pages, light and dark, on a phone too, and nothing scrolls sideways", async (t) => {
  const server = await serve(t, ...FLAGS);
  const sent = file(folder(t), "paella.bin", 1000);
  for (const [, path, ...widget] of [["", ""], ...WIDGETS]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(t, chrome, server.url + path, { colorScheme, bypassCSP: true, viewport: { width: 360, height: 700 } });
      if (path) await send(page, ["", path, ...widget], sent);
      await page.addScriptTag({ path: AXE });
      const { violations, passes } = await page.evaluate((ours) => window.axe.run({ exclude: ours }), THEIRS);
      assert.deepEqual(violations.map(({ id, nodes }) => [path, colorScheme, id, nodes.map((node) => node.html)]), []);
      assert.ok(passes.length > 5);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), path);
      await page.context().close();
    }
  }
});

/** The widgets' own insides are their makers'. */
const THEIRS = [[".filepond--root"], [".dropzone"], [".dz-hidden-input"], [".uppy-Root"]];

test("one command starts it all, and says which one it is", async (t) => {
  const args = ["start", "--", "--listen", "127.0.0.1:0", "--dir", folder(t)];
  const child = spawn("npm", args, { cwd: HERE, env: { ...process.env, DUMBWAITER_BIN: BINARY }, stdio: ["ignore", "pipe", "inherit"], detached: true });
  const ended = new Promise((resolve) => child.once("close", resolve));
  t.after(() => {
    process.kill(-child.pid, "SIGTERM");
    return ended;
  });
  const said = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (line.includes("http://")) break;
  }
  const command = /--page examples\/widgets\/page/.exec(readFileSync(`${HERE}README.md`, "utf8"))[0];
  assert.ok(said.some((line) => line.includes(command)), said.join("\n"));
  const page = await open(t, chrome, /http:\/\/\S+/.exec(said.at(-1))[0]);
  assert.equal(await page.locator("main a").count(), 4);
});
