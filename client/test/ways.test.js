/** How files come to the page besides choosing, what it draws of them, and what it gives back: pictures, links, the lift. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { dish } from "./pictures.js";
import { MB, browser, file, folder, open, row, rowIs, serve, serveByName, slow, until, words } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** Pastes files made in the page: name, type and text of each. */
function paste(page, files) {
  return page.evaluate((files) => {
    const clipboardData = new DataTransfer();
    for (const [name, type, text] of files) clipboardData.items.add(new File([text], name, { type }));
    dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, files);
}

test("a pasted screenshot goes up under a name that says when, other files under their own", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await paste(page, [["image.png", "image/png", "not really a picture"], ["notes.txt", "text/plain", "notes"]]);
  await until(() => page.locator(".row.done").count(), (count) => count === 2);
  const [picture, notes] = server.stored();
  assert.match(picture, /^Pasted 20\d\d-\d\d-\d\d at \d\d\.\d\d\.\d\d\.png$/);
  assert.equal(notes, "notes.txt");
  await paste(page, []);
  assert.equal(await page.locator(".row").count(), 2);
});

/** Drops real files and folders, as a person does. */
async function drop(page, paths) {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  const { x, y } = await page.locator("#drop").boundingBox();
  for (const type of ["dragEnter", "dragOver", "drop"]) await session.send("Input.dispatchDragEvent", { type, x: x + 20, y: y + 20, data });
}

test("of a dropped folder its files go up, those of folders in it too, and no litter", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const trip = join(folder(t), "trip");
  mkdirSync(join(trip, "day 1"), { recursive: true });
  for (const name of ["map.txt", "day 1/paella.txt", ".DS_Store"]) writeFileSync(join(trip, name), name);
  const beside = file(folder(t), "beside.txt", 10);
  await drop(page, [trip, beside.path]);
  await until(() => page.locator(".row.done").count(), (count) => count === 3);
  assert.deepEqual(server.stored(), ["beside.txt", "map.txt", "paella.txt"]);
});

test("a folder with nothing in it, or too much, is answered in words", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const dir = folder(t);
  for (const name of ["empty", "full"]) mkdirSync(join(dir, name));
  for (let i = 0; i <= 1000; i++) writeFileSync(join(dir, "full", `${i}.txt`), "");
  for (const [name, said] of [["empty", "No file is in “empty”."], ["full", "More than 1000 files are in “full”. Nothing of it was sent; drop a part of it."]]) {
    await drop(page, [join(dir, name)]);
    await page.locator("#notice", { hasText: said }).waitFor();
    assert.equal(await page.locator("#alert").innerText(), said);
  }
  assert.equal(await page.locator(".row").count(), 0);
  assert.deepEqual(server.stored(), []);
});

test("pictures are shown small, no other file is decoded, and no object URL is left", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await page.evaluate(() => {
    window.urls = new Set();
    const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
    URL.createObjectURL = (blob) => { const url = make.call(URL, blob); window.urls.add(url); return url; };
    URL.revokeObjectURL = (url) => { window.urls.delete(url); revoke.call(URL, url); };
    window.decoded = 0;
    const decode = window.createImageBitmap;
    window.createImageBitmap = (...given) => { window.decoded++; return decode(...given); };
  });
  const dir = folder(t);
  const jpeg = await dish(page, { width: 1200, height: 400 });
  const files = [["wide.jpg", jpeg], ["tall.png", await dish(page, { kind: "image/png", width: 90, height: 300 })], ["broken.jpg", jpeg.subarray(0, 40)],
    ["drawing.svg", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')], ["menu.pdf", Buffer.from("%PDF-1.4")],
    ["huge.jpg", Buffer.concat([jpeg, Buffer.alloc(33 * MB)])], ["vast.png", await dish(page, { kind: "image/png", width: 16000, height: 4001 })]];
  const paths = files.map(([name, bytes]) => {
    writeFileSync(join(dir, name), bytes);
    return join(dir, name);
  });
  await page.setInputFiles("#file", paths);
  for (const name of ["wide.jpg", "tall.png"]) await row(page, name).locator("canvas").waitFor();
  await until(() => page.evaluate(() => window.urls.size), (left) => left === 0);
  const sizes = await page.locator("canvas").evaluateAll((all) => all.map(({ width, height }) => [width, height]));
  assert.deepEqual(sizes, [[160, 53], [48, 160]]);
  assert.equal(await page.evaluate(() => window.decoded), 2);
  const box = await row(page, "wide.jpg").locator("canvas").boundingBox();
  assert.deepEqual([box.width, box.height], [40, 40]);
  assert.equal(await row(page, "menu.pdf").locator(".thumb").innerText(), "PDF");
});

test("a thousand pictures keep a bounded number of small ones, and those in view are there", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { viewport: { width: 800, height: 900 } });
  const jpeg = await dish(page, { width: 200, height: 150 });
  // Held back, so that the test is about pictures: offline nothing is sent.
  await page.route("**/upload?*", () => {});
  await page.evaluate((base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    for (let i = 0; i < 1000; i++) data.items.add(new File([bytes], `${i}.jpg`, { type: "image/jpeg" }));
    document.getElementById("file").files = data.files;
    document.getElementById("file").dispatchEvent(new Event("change"));
  }, jpeg.toString("base64"));
  const most = () => page.locator("canvas").count();
  await row(page, "0.jpg").locator("canvas").waitFor();
  assert.ok((await most()) < 100, "pictures out of view were decoded");
  for (let i = 40; i < 1000; i += 40) {
    await row(page, `${i}.jpg`).scrollIntoViewIfNeeded();
    await row(page, `${i}.jpg`).locator("canvas").waitFor();
  }
  assert.ok((await most()) <= 120, `${await most()} pictures are kept`);
  assert.equal(await row(page, "0.jpg").locator("canvas").count(), 0);
  await row(page, "0.jpg").scrollIntoViewIfNeeded();
  await row(page, "0.jpg").locator("canvas").waitFor();
});

test("a finished file's link is copied, and words say so", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { permissions: ["clipboard-read", "clipboard-write"] });
  const sent = file(folder(t), "notes.txt", 100);
  await page.setInputFiles("#file", sent.path);
  await rowIs(page, "notes.txt", "done");
  await page.getByRole("button", { name: "Copy link of notes.txt" }).click();
  await until(() => words(page, "notes.txt"), (text) => text === "✓ Arrived · 100 bytes · link copied");
  assert.equal(await page.locator("#status").innerText(), "Link copied.");
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok((await (await page.request.get(link)).body()).equals(sent.bytes));
});

test("over plain http a link is copied all the same, and where that fails it is shown selected", async (t) => {
  const server = await serveByName(t);
  const page = await open(t, chrome, server.url);
  assert.equal(await page.evaluate(() => navigator.clipboard), undefined);
  await page.setInputFiles("#file", file(folder(t), "notes.txt", 100).path);
  await rowIs(page, "notes.txt", "done");
  const press = () => page.getByRole("button", { name: "Copy link of notes.txt" }).click();
  const copied = await page.evaluate(() => new Promise((resolve) => {
    addEventListener("copy", () => resolve(getSelection().toString() || document.activeElement.value), { once: true });
    document.querySelector(".copy").click();
  }));
  const href = await page.getByRole("link", { name: "Open notes.txt" }).evaluate((link) => link.href);
  assert.equal(copied, href);
  await page.evaluate(() => { document.execCommand = () => false; });
  await press();
  await until(() => words(page, "notes.txt"), (text) => text.endsWith("copy the selected link"));
  const field = page.getByRole("textbox", { name: "Link of notes.txt" });
  assert.equal(await field.inputValue(), href);
  assert.deepEqual(await field.evaluate((one) => [one === document.activeElement, one.selectionStart, one.selectionEnd]), [true, 0, href.length]);
});

test("with downloads off there is no link to open or to copy, nor in the answer without script", async (t) => {
  const server = await serve(t, "--downloads", "off");
  const page = await open(t, chrome, server.url);
  await page.setInputFiles("#file", file(folder(t), "kept.txt", 100).path);
  await rowIs(page, "kept.txt", "done");
  assert.equal(await page.locator(".row a:visible, .row button:visible").count(), 0);
  const plain = await open(t, chrome, server.url, { javaScriptEnabled: false });
  await plain.setInputFiles("#file", file(folder(t), "plain.txt", 100).path);
  await plain.getByRole("button", { name: "Send" }).click();
  await plain.getByRole("heading", { name: "1 file has arrived." }).waitFor();
  assert.deepEqual(await plain.locator("main a").allInnerTexts(), ["Send more"]);
});

test("the lift rises with the total, its dome is lifted at the end, and the tab's icon follows", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const lift = page.locator(".lift");
  assert.ok(await lift.isHidden());
  await page.evaluate(() => {
    window.ups = [];
    window.icons = [];
    new MutationObserver(() => window.ups.push(Number(document.querySelector(".lift").style.getPropertyValue("--up"))))
      .observe(document.querySelector(".lift"), { attributes: true });
    new MutationObserver(() => window.icons.push(document.getElementById("icon").getAttribute("href"))).observe(document.getElementById("icon"), { attributes: true });
  });
  await slow(page, 2 * MB);
  await page.setInputFiles("#file", file(folder(t), "dish.bin", 14 * MB).path);
  await rowIs(page, "dish.bin", "done");
  await page.locator(".lift.served").waitFor();
  const { ups, icons } = await page.evaluate(() => ({ ups: window.ups, icons: window.icons }));
  assert.ok(ups.every((up, i) => i === 0 || up >= ups[i - 1]), `${ups}`);
  assert.ok(ups.filter((up) => up > 0 && up < 11.5).length >= 5 && ups.at(-1) === 15, `${ups}`);
  assert.ok(icons.length >= 4 && icons.length <= 10 && icons.at(-1) === "lift-9.svg", `${icons}`);
  assert.deepEqual(icons, [...new Set(icons)].sort());
  assert.equal(await lift.getAttribute("aria-hidden"), "true");
  for (const name of [...icons, "favicon.ico"]) {
    const answer = await page.request.get(new URL(name, server.url).href);
    assert.deepEqual([answer.status(), answer.headers()["content-type"]], [200, "image/svg+xml"], name);
  }
});

test("the icon is a picture that browsers draw", async (t) => {
  const server = await serve(t, "--base", "/up");
  const page = await open(t, chrome, server.url);
  const shapes = await page.evaluate(async () => {
    const drawn = [];
    for (const step of [0, 8, 9]) {
      const image = new Image();
      image.src = `lift-${step}.svg`;
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
      const to = canvas.getContext("2d");
      to.drawImage(image, 0, 0, 28, 28);
      drawn.push(to.getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 3).join(""));
    }
    return drawn;
  });
  assert.equal(new Set(shapes).size, 3);
  assert.ok(shapes.every((alpha) => /[1-9]/.test(alpha)), "nothing was drawn");
});
