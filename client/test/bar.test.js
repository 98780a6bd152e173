/** <dumbwaiter-progress> in Chromium, under the strictest policy: what it shows, says and lets be done. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, serve, slow, until } from "./support.js";
import { html } from "./support/project.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

const AXE = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const SCRIPT = `
import * as module from "./dumbwaiter.js";
Object.assign(window, module);
const [bar] = document.getElementsByTagName("dumbwaiter-progress");
window.spoken = [];
const listen = new MutationObserver((changes) => changes.forEach(({ target }) => target.role && window.spoken.push([target.role, target.textContent])));
document.querySelector("input").onchange = ({ target }) => {
  bar.progress = upload(target.files[0]);
  listen.observe(bar.shadowRoot, { subtree: true, childList: true });
};
`;
const BODY = '<style></style><main><h1>Dishes</h1><label>File <input type="file"></label><dumbwaiter-progress></dumbwaiter-progress></main><script type="module" src="page.js"></script>';

/** A page with a bar, which sends what is chosen. */
async function stage(t, { lang = "en", context = {}, flags = [] } = {}) {
  const dir = folder(t);
  writeFileSync(join(dir, "index.html"), html(BODY.replace("<style></style>", ""), lang));
  writeFileSync(join(dir, "page.js"), SCRIPT);
  const server = await serve(t, "--page", dir, ...flags);
  const page = await open(t, chrome, server.url, context);
  await page.waitForFunction(() => window.upload);
  const choose = async (size, name = "paella.bin") => page.setInputFiles("input", file(folder(t), name, size).path);
  return { server, page, choose, bar: page.locator("dumbwaiter-progress"), text: (part) => textOf(page, part) };
}

async function textOf(page, part) {
  const text = await page.locator(`dumbwaiter-progress [part~=${part}]`).textContent();
  return text.replaceAll(/[\u00a0\u202f]/g, " ");
}

const state = (page, name) => page.locator(`dumbwaiter-progress[state=${name}]`).waitFor();
const button = (page, name) => page.getByRole("button", { name });
const violations = async (page) => {
  await page.evaluate(AXE);
  return page.evaluate(async () => (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`));
};

/** The bar's own numbers. */
const widths = (page) => page.locator("dumbwaiter-progress [part=bar]").evaluate((bar) => {
  const [whole, kept, sent] = [bar, bar.querySelector("[part=kept]"), bar.querySelector("[part=sent]")].map((one) => one.getBoundingClientRect());
  return { kept: kept.width / whole.width, sent: sent.width / whole.width, left: kept.left - whole.left, right: whole.right - kept.right };
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing, ${colorScheme}: while it sends, rests, has failed and is there`, async (t) => {
    const { page, choose } = await stage(t, { context: { colorScheme, reducedMotion: "reduce" } });
    await page.evaluate((scheme) => { Object.assign(document.documentElement.style, { colorScheme: scheme, background: scheme === "dark" ? "#171512" : "#FAF8F4" }); }, colorScheme);
    await slow(page, 200_000);
    await choose(3 * MB);
    await state(page, "uploading");
    assert.deepEqual(await violations(page), []);
    await button(page, "Pause paella.bin").click();
    await state(page, "paused");
    assert.deepEqual(await violations(page), []);
    await button(page, "Cancel paella.bin").click();
    await state(page, "cancelled");
    assert.deepEqual(await violations(page), []);
    await slow(page, -1);
    await choose(1000, "soup.bin");
    await state(page, "done");
    assert.deepEqual(await violations(page), []);
  });
}

test("its buttons do what they say, and the focus stays with them", async (t) => {
  const { page, choose, server, text } = await stage(t);
  await slow(page, 400_000);
  await choose(2 * MB);
  await state(page, "uploading");
  await button(page, "Pause paella.bin").press("Enter");
  await state(page, "paused");
  assert.match(await text("status"), /^❙❙ Paused\. /);
  assert.equal(await page.evaluate(() => document.activeElement.shadowRoot.activeElement.textContent), "Resume");
  await page.keyboard.press("Enter");
  await state(page, "uploading");
  await button(page, "Cancel paella.bin").press("Enter");
  await state(page, "cancelled");
  await until(() => server.stored(), (names) => names.length === 0);
  assert.equal(await page.evaluate(() => document.activeElement.shadowRoot.activeElement.textContent), "Retry");
  // A key that is held down presses it once, and not Cancel, which the focus goes to.
  await page.keyboard.down("Enter");
  await page.keyboard.down("Enter");
  await page.keyboard.up("Enter");
  await slow(page, -1);
  await state(page, "done");
  assert.deepEqual(server.stored(), ["paella.bin"]);
  assert.equal(await page.locator("dumbwaiter-progress button:visible").count(), 0);
});

test("a refusal says what happened, what is kept and what to do, with its code, once and aloud", async (t) => {
  const { page, choose, text } = await stage(t, { flags: ["--max-file-size", "1MB"] });
  await choose(1_500_000);
  await state(page, "error");
  const said = "The file is larger than this server takes. Nothing of it is kept. Choose a smaller one.";
  assert.equal(await text("status"), `! ${said}`);
  assert.match(await text("code"), /^(file|upload)_too_large$/);
  assert.equal(await button(page, /Retry/).count(), 0);
  const alerts = (await page.evaluate(() => window.spoken)).filter(([role]) => role === "alert");
  assert.deepEqual(alerts, [["alert", `paella.bin: ${said}`]]);
});

test("the bar is a progressbar with the file's name, whole percents and words, which never fall", async (t) => {
  const { page, choose } = await stage(t);
  await page.evaluate(() => {
    window.seen = [];
    const [bar] = document.getElementsByTagName("dumbwaiter-progress");
    new MutationObserver(() => window.seen.push(bar.shadowRoot.querySelector("[part=bar]").ariaValueNow ?? "storing")).observe(bar.shadowRoot, { subtree: true, attributes: true, attributeFilter: ["aria-valuenow"] });
  });
  await slow(page, 700_000);
  await choose(3 * MB);
  await state(page, "done");
  const bar = page.getByRole("progressbar", { name: "paella.bin" });
  assert.equal(await bar.getAttribute("aria-valuenow"), "100");
  assert.equal(await bar.getAttribute("aria-valuetext"), "Arrived");
  // While the server stores, what it has is known, and how long that takes is not.
  const seen = (await page.evaluate(() => window.seen)).filter((value) => value !== "storing").map(Number);
  assert.ok(seen.length > 2, `${seen}`);
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
});

test("from right to left it grows from the right, and without motion it does not glide", async (t) => {
  const { page, choose } = await stage(t, { context: { reducedMotion: "reduce" } });
  await page.evaluate(() => { document.documentElement.dir = "rtl"; });
  await slow(page, 300_000);
  await choose(2 * MB);
  await page.waitForFunction(() => document.querySelector("dumbwaiter-progress").progress.kept > 0.1);
  const { left, right } = await widths(page);
  assert.ok(left > 2 && right < 2, `${left} ${right}`);
  // "412 MB of 1.2 GB" begins with a number, which would stand at the wrong end of a page's right-to-left line.
  const ways = await page.locator("dumbwaiter-progress bdi").evaluateAll((all) => all.map((one) => [getComputedStyle(one).direction, getComputedStyle(one.parentElement).direction]));
  assert.deepEqual(ways, [["ltr", "rtl"], ["ltr", "rtl"]]);
  assert.equal(await page.locator("dumbwaiter-progress [part=kept]").evaluate((kept) => getComputedStyle(kept).transitionDuration), "0s");
});

test("forced colours keep the bar, and the page's own properties and parts style it", async (t) => {
  const { page, choose } = await stage(t, { context: { forcedColors: "active" } });
  await choose(1000);
  await state(page, "done");
  const colour = () => page.locator("dumbwaiter-progress [part=kept]").evaluate((kept) => getComputedStyle(kept).backgroundColor);
  const canvas = await page.evaluate(() => getComputedStyle(document.body).color);
  assert.equal(await colour(), canvas);
  await page.emulateMedia({ forcedColors: "none" });
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("dumbwaiter-progress { --dumbwaiter-ok: rgb(1, 2, 3) } dumbwaiter-progress::part(name) { color: rgb(4, 5, 6) }");
    document.adoptedStyleSheets = [sheet];
  });
  assert.equal(await colour(), "rgb(1, 2, 3)");
  assert.equal(await page.locator("dumbwaiter-progress [part=name]").evaluate((name) => getComputedStyle(name).color), "rgb(4, 5, 6)");
});

test("of an upload that takes a minute at most six things are said", { timeout: 120_000 }, async (t) => {
  const { page, choose } = await stage(t);
  await slow(page, 50_000);
  await choose(3 * MB);
  await page.locator("dumbwaiter-progress[state=done]").waitFor({ timeout: 110_000 });
  const spoken = await page.evaluate(() => window.spoken.map(([, text]) => text));
  assert.ok(spoken.length >= 4 && spoken.length <= 6, spoken.join(" | "));
  assert.deepEqual([spoken[0], spoken.at(-1)], ["Sending paella.bin.", "paella.bin has arrived."]);
});

/** An app behind that takes each upload and reports of it afterwards; `told` is what it was told of the first. */
async function app(t) {
  let tell;
  const told = new Promise((resolve) => { tell = resolve; });
  const server = createServer(({ headers }, response) => {
    response.writeHead(202, { "Dumbwaiter-Processing": "?1" }).end();
    tell(headers);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close(server.closeAllConnections()));
  const key = join(folder(t), "app.key");
  writeFileSync(key, "a-key-of-thirty-two-bytes-or-more-for-a-test", { mode: 0o600 });
  return { told, flags: ["--app-key-file", key, "--hand-off", `http://127.0.0.1:${server.address().port}/uploaded`] };
}

test("who has the watch name sees it in another page, through the app's own steps to the end, and no button", async (t) => {
  const { told, flags } = await app(t);
  const { server, page, text } = await stage(t, { flags });
  const form = new FormData();
  form.append("picture", new Blob(["dish"]), "paella.jpg");
  const { watch } = await (await fetch(`${server.url}upload`, { method: "POST", body: form })).json();
  const bar = page.getByRole("progressbar", { name: "paella.jpg" });
  await page.locator("dumbwaiter-progress").evaluate((element, name) => element.setAttribute("upload", name), watch);
  await state(page, "processing");
  assert.equal(await bar.getAttribute("aria-valuenow"), null);
  const { "dumbwaiter-phase": path, "dumbwaiter-token": token } = await told;
  const report = async (body) => {
    const { status } = await fetch(new URL(path, server.url), { method: "PUT", body: JSON.stringify(body), headers: { Authorization: `Bearer ${token}` } });
    assert.equal(status, 204);
  };
  await report({ name: "Cutting", done: 1, total: 4 });
  await until(() => widths(page), ({ kept, sent }) => Math.abs(kept - 0.25) < 0.01 && sent > 0.99);
  await until(() => text("status"), (words) => words === "Cutting");
  assert.deepEqual([await bar.getAttribute("aria-valuenow"), await text("percent")], ["25", "25 %"]);
  await report({ state: "done" });
  await state(page, "done");
  assert.equal(await page.locator("dumbwaiter-progress button:visible").count(), 0);
});

test("a bar that is moved within its page stays where it stands, and follows another upload when it is told to", async (t) => {
  const { server, page } = await stage(t);
  const begin = async (offset) => {
    const headers = { "Upload-Length": `${4 * MB}`, "Upload-Complete": "?0", "Content-Type": "application/octet-stream" };
    const { headers: told } = await fetch(`${server.url}files/`, { method: "POST", headers, body: new Uint8Array(offset) });
    return told.get("location").split("/").pop();
  };
  const [half, none] = [await begin(2 * MB), await begin(0)];
  await page.locator("dumbwaiter-progress").evaluate((bar, id) => bar.setAttribute("upload", id), half);
  await until(() => widths(page), ({ kept }) => Math.abs(kept - 0.5) < 0.01);
  const seen = await page.locator("dumbwaiter-progress").evaluate(async (bar) => {
    const kept = [];
    const line = bar.shadowRoot.querySelector("[part=bar]");
    new MutationObserver(() => kept.push(line.style.getPropertyValue("--kept"))).observe(line, { attributes: true });
    document.body.append(bar);
    while (kept.length < 2) await new Promise(requestAnimationFrame);
    return kept;
  });
  assert.deepEqual([...new Set(seen)], ["50%"]);
  await page.locator("dumbwaiter-progress").evaluate((bar, id) => bar.setAttribute("upload", id), none);
  await until(() => widths(page), ({ kept }) => kept === 0);
});
