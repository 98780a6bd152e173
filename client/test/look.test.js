/** What the page looks like, as far as a rule can say it: contrast, room, targets, motion. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { MB, browser, file, folder, open, rowIs, serve, slow } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());

/** WCAG 2 relative luminance of `#RRGGBB`. */
function luminance(colour) {
  const [r, g, b] = colour.slice(1).match(/../g).map((hex) => {
    const part = parseInt(hex, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

test("text stands out 4.5 to 1 and shapes 3 to 1, light and dark", () => {
  const css = readFileSync(new URL("../page.css", import.meta.url), "utf8");
  const themes = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, body]) => Object.fromEntries([...body.matchAll(/--([\w-]+): (#\w{6})/g)].map(([, name, value]) => [name, value])));
  assert.equal(themes.length, 2);
  const text = [["ink", "bg"], ["ink", "card"], ["soft", "bg"], ["soft", "card"], ["ok", "card"], ["err", "card"], ["hold", "card"], ["fill", "card"], ["on-fill", "fill"]];
  const shapes = [["edge", "card"], ["edge", "bg"], ["fill", "track"], ["fill", "trail"], ["ok", "track"], ["err", "track"], ["focus", "bg"], ["focus", "card"]];
  for (const theme of themes) {
    for (const [one, other] of text) assert.ok(contrast(theme[one], theme[other]) >= 4.5, `${one} on ${other}`);
    for (const [one, other] of shapes) assert.ok(contrast(theme[one], theme[other]) >= 3, `${one} on ${other}`);
  }
});

test("the tab's icon stands out on light tabs and dark ones", async (t) => {
  const server = await serve(t);
  const icon = await (await fetch(new URL("lift-5.svg", server.url))).text();
  const [, colour] = /color="(#\w{6})"/.exec(icon);
  // Chromium's and Firefox's tabs, light and dark.
  for (const tab of ["#FFFFFF", "#F0F0F4", "#202124", "#35363A", "#2B2A33"]) assert.ok(contrast(colour, tab) >= 3, `${contrast(colour, tab)} on ${tab}`);
});

test("on a phone nothing scrolls sideways and every target is 44 px", async (t) => {
  const server = await serve(t, "--on-conflict", "reject");
  const page = await open(t, chrome, server.url, { viewport: { width: 360, height: 760 }, hasTouch: true, isMobile: true });
  const dir = folder(t);
  const long = file(dir, `${"長い名前".repeat(10)}${"x".repeat(60)}.jpeg`, 1000);
  await page.setInputFiles("#file", long.path);
  await rowIs(page, long.name, "done");
  await page.setInputFiles("#file", long.path);
  await rowIs(page, long.name, "error");
  await slow(page, MB);
  await page.setInputFiles("#file", ["running.bin", "cancelled.bin"].map((name) => file(dir, name, 30 * MB).path));
  await page.getByRole("button", { name: "Cancel cancelled.bin" }).click();
  await rowIs(page, "running.bin", "uploading");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  const controls = await page.locator(".row button:visible, .row a:visible, #file").all();
  assert.equal(controls.length, 8);
  for (const control of controls) {
    const { width, height } = await control.boundingBox();
    assert.ok(width >= 44 && height >= 44, `${await control.innerText()} is ${width} × ${height}`);
  }
});

test("words that wrap on a phone lose none of their letters", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { viewport: { width: 320, height: 760 } });
  const dir = folder(t);
  await page.setInputFiles("#file", ["a", "b"].map((name) => file(dir, name, 1).path));
  const words = page.locator("#total .words", { hasText: "2 files have arrived. You can close this page." });
  await words.waitFor();
  const { clip, lines, left } = await words.evaluate((one) => {
    const text = document.createRange();
    text.selectNodeContents(one);
    const lines = Array.from(text.getClientRects(), (rect) => rect.left);
    return { clip: getComputedStyle(one).clipPath, lines, left: one.getBoundingClientRect().left };
  });
  assert.equal(clip, "none");
  assert.ok(lines.length >= 2 && lines.every((line) => line >= left), `${lines} from ${left}`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
});

test("bars glide over 200 ms, and not at all where less motion is asked for", async (t) => {
  const server = await serve(t);
  for (const [reducedMotion, duration] of [["no-preference", "0.2s"], ["reduce", "0s"]]) {
    const page = await open(t, chrome, server.url, { reducedMotion });
    const found = await page.evaluate(() => [getComputedStyle(document.querySelector(".bar"), "::after"), ...[".dish", ".dome"].map((part) => getComputedStyle(document.querySelector(part)))]
      .map((style) => style.transitionDuration));
    assert.deepEqual(found, reducedMotion === "reduce" ? [duration, duration, duration] : [duration, duration, "0.24s"]);
  }
});

test("with forced colours fill, trail and track are still three things", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url, { forcedColors: "active" });
  const faces = await page.evaluate(() => {
    const bar = document.querySelector(".bar");
    return [null, "::before", "::after"].map((part) => {
      const { backgroundColor, backgroundImage } = getComputedStyle(bar, part);
      return `${backgroundColor} ${backgroundImage}`;
    });
  });
  assert.equal(new Set(faces).size, 3, faces.join("\n"));
});

test("the drop area is large while the page is empty, small beside a list, and shows the focus", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  const height = async () => (await page.locator("#drop").boundingBox()).height;
  assert.equal(await height(), 160);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "file");
  assert.equal(await page.locator("#drop").evaluate((drop) => getComputedStyle(drop).outlineStyle), "solid");
  await page.setInputFiles("#file", file(folder(t), "one.txt", 1).path);
  assert.equal(await height(), 56);
  assert.match(await page.locator("#drop").innerText(), /^Drop more files here, or choose\.$/);
});
