/** What the tests of the article's page (examples/article) share: a visitor, and all that the page shows and asks. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { browser, slow } from "./support.js";

export const HERE = fileURLToPath(new URL("../../examples/article/", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const README = readFileSync(`${HERE}README.md`, "utf8");

/** The flags of the plain command in the example's README. */
export const FLAGS = /^cargo run --release -- (.*)$/m.exec(README)[1].split(" ")
  .map((word) => word.replace(/^'(.*)'$/, "$1").replace(/^examples\//, `${ROOT}examples/`));

let chrome;
before(async () => {
  const { status, stderr } = spawnSync("npm", ["run", "vendor"], { cwd: HERE, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  chrome = await browser();
});
after(() => chrome?.close());

/** What is changed from outside before the page's scripts run. */
export const faster = () => {
  const real = window.setInterval;
  window.setInterval = (f, ms, ...rest) => real(f, ms === 5000 ? 500 : ms, ...rest);
};
export const withoutFormData = () => delete window.FormData;

/** Notes what the bar is told and what the callbacks get; `mode` goes to jQuery Form beside the page's own options. */
function hook(mode) {
  const { progressBar, ajaxSubmit } = window.jQuery.fn;
  const { showResponse, showError } = window;
  window.seen = { bar: [], answers: [], errors: [], asked: [] };
  window.jQuery.fn.progressBar = function (...args) {
    if (args.length) window.seen.bar.push(args[0]);
    return progressBar.apply(this, args);
  };
  window.jQuery.fn.ajaxSubmit = function (options) {
    window.seen.asked.push(options.url);
    return ajaxSubmit.call(this, { ...options, ...mode });
  };
  window.showResponse = (data, ...rest) => {
    const text = (path) => window.jQuery(data).find(path).text();
    window.seen.answers.push({ kind: data.constructor.name, state: text("upload > state"), name: text("file > name"), length: text("file > length") });
    return showResponse(data, ...rest);
  };
  window.showError = (xhr, ...rest) => {
    window.seen.errors.push(xhr.status);
    return showError(xhr, ...rest);
  };
}

/** Opens the page in a tab, throttled where `rate` says so. At the test's end it must have thrown no error. */
export async function visit(t, server, { tab, context, path = "", init = [faster], mode = {}, rate } = {}) {
  const page = tab ?? (await (context ?? (await newContext(t))).newPage());
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  t.after(() => assert.deepEqual(problems, []));
  for (const script of init) await page.addInitScript(script);
  await page.goto(server.url + path);
  await page.evaluate(hook, mode);
  page.polls = [];
  page.on("response", (response) => response.url().includes("/get_upload_progress?") && note(page.polls, response, server));
  if (rate) await slow(page, rate);
  return page;
}

/** A tab that `page` opens and can close. (By `page.close()` the throttle ends first, and all the rest goes up at once.) */
export async function tabOf(page) {
  const opened = page.context().waitForEvent("page");
  await page.evaluate(() => { window.tab = window.open("about:blank"); });
  return opened;
}

export const closeTab = (page) => page.evaluate(() => window.tab.close());

export async function newContext(t, options) {
  const context = await chrome.newContext(options);
  t.after(() => context.close());
  return context;
}

/** Notes a poll's answer, when it came, and what was stored by then. */
async function note(polls, response, server) {
  const poll = { stored: server.stored(), at: Date.now() };
  polls.push(poll);
  poll.answer = await response.json().catch(() => "the tab was closed");
}

export async function submit(page, path) {
  if (path) await page.setInputFiles("#picture", path);
  await page.click("#form_submit_button");
}

export const seen = (page) => page.evaluate(() => window.seen);
export const words = (page) => page.locator("#answer").innerText();

/** Waits until the bar is at 100, and gives all that it showed. */
export async function hundred(page, patience) {
  await page.waitForFunction(() => window.seen.bar.at(-1) === 100, null, { timeout: patience });
  return (await seen(page)).bar;
}

/**
 * The promise of the bar: strictly rising between 0 and 100, and 100 at the end alone, when all is stored. (Where the
 * answer to one poll comes after the next one was sent, the page is told of the end twice.)
 */
export function assertTrue({ bar, polls, least, stored }) {
  const before = bar.slice(0, bar.indexOf(100));
  assert.ok(before.length >= least, `the bar hardly moved: ${bar}`);
  assert.ok(bar.slice(before.length).every((value) => value === 100), `it went on after the end: ${bar}`);
  for (const [i, value] of before.entries()) {
    // A poll may come before the first byte.
    assert.ok((value > 0 || i === 0) && value < 100, `${value} in ${bar}`);
    assert.ok(i === 0 || value > before[i - 1], `it did not rise: ${bar}`);
  }
  assertStoredAtTheEnd(polls, stored);
}

/** Whoever was told of the end could have read what is stored. */
export function assertStoredAtTheEnd(polls, stored) {
  const ends = polls.filter((poll) => poll.answer === null);
  assert.ok(ends.length > 0);
  for (const end of ends) assert.deepEqual(end.stored, stored);
}
