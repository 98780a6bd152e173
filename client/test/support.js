/** What the browser tests share: the real binary, a real Chromium, files to send, and what a page shows. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROME_PATH ?? "/usr/bin/chromium";
export const BINARY = process.env.DUMBWAITER_BIN ?? fileURLToPath(new URL("../../target/debug/dumbwaiter", import.meta.url));
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--host-resolver-rules=MAP *.example 127.0.0.1",
];

export const MB = 1_000_000;

/** What this process has started and must not leave behind, whatever ends it. */
const children = new Set();
process.on("exit", () => { for (const child of children) child.kill("SIGKILL"); });
for (const [signal, status] of [["SIGHUP", 129], ["SIGINT", 130], ["SIGTERM", 143]]) process.once(signal, () => process.exit(status));

/** Starts Chromium, or says what is missing. */
export function browser(more = {}) {
  if (!existsSync(CHROMIUM))
    throw new Error(`no Chromium at ${CHROMIUM}: install it (Debian: apt-get install chromium) or set CHROME_PATH`);
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS, ...more });
}

/** A folder of its own for one test, gone at its end. */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), "dumbwaiter-page-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts the binary on a free port and gives its address, folder and process; stopped at the test's end. */
export function serve(t, ...flags) {
  return start(t, folder(t), flags);
}

/** Starts the binary on a folder that is there already; `again` starts another on the same, once this one is stopped. */
async function start(t, dir, flags) {
  if (!existsSync(BINARY)) throw new Error(`no binary at ${BINARY}: run cargo build first, or set DUMBWAITER_BIN`);
  const args = ["--listen", "127.0.0.1:0", "--dir", dir, ...flags];
  // The server would refuse a variable of this prefix that it does not know.
  const { DUMBWAITER_BIN, ...env } = process.env;
  const child = spawn(BINARY, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  const ended = new Promise((resolve) => child.once("exit", resolve)).finally(() => children.delete(child));
  const end = (signal) => {
    child.kill(signal);
    return ended;
  };
  const kill = () => end("SIGKILL");
  t.after(kill);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+/.exec(line)?.[0];
    assert.ok(url, `the first line names no address: ${line}`);
    child.stdout.resume();
    const files = { stored: () => stored(dir), read: (name) => readFileSync(join(dir, name)) };
    return { url, dir, pid: child.pid, kill, stop: () => end("SIGTERM"), again: () => start(t, dir, flags), ...files };
  }
  throw new Error("the server ended before it named its address");
}

/** A wire to the server that can be cut and mended: the address to open, and what breaks every connection over it. */
export async function wire(t, server) {
  const { hostname, pathname } = new URL(server.url);
  let { port } = new URL(server.url);
  const [ends, pairs] = [new Set(), new Set()];
  let whole = true;
  const between = createServer((near) => {
    if (!whole) return near.resetAndDestroy();
    const far = connect(Number(port), "127.0.0.1");
    pairs.add([near, far]);
    for (const [end, other] of [[near, far], [far, near]]) {
      // One that is reset while it shuts down may keep its handle; none may keep the run from ending.
      ends.add(end.unref());
      end.pipe(other).on("error", () => end.destroy());
      end.on("error", () => other.destroy()).on("close", () => other.destroy() && ends.delete(end));
    }
  });
  await new Promise((resolve) => between.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    whole = false;
    for (const end of ends) end.resetAndDestroy();
  };
  const mend = () => { whole = true; };
  /** Nothing goes up, and no connection breaks. */
  const hold = () => { for (const [near, far] of pairs) near.unpipe(far).pause(); };
  const flow = () => { for (const [near, far] of pairs) if (!near.destroyed) near.pipe(far); };
  const { port: own } = between.address();
  /** Gone altogether, as when the server's machine stops. */
  const close = () => {
    const closed = new Promise((resolve) => between.close(resolve));
    for (const end of ends) end.resetAndDestroy();
    return closed;
  };
  /** Leads to another server from now on, one that was started again say. */
  const lead = (other) => { ({ port } = new URL(other.url)); };
  const listen = () => new Promise((resolve) => between.listen(own, "127.0.0.1", resolve));
  t.after(() => {
    cut();
    between.close();
  });
  return { url: `http://${hostname}:${own}${pathname}`, cut, mend, close, listen, lead, hold, flow };
}

/** A server under a name that is not this machine's: plain http without a secure context, and a way that can be offline. */
export async function serveByName(t, ...flags) {
  const server = await serve(t, "--host", "files.example", ...flags);
  return { ...server, url: server.url.replace("127.0.0.1", "files.example") };
}

/** What lies in the store's folder, hidden or not, but for the database and folders themselves. */
function stored(dir) {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && !entry.name.startsWith("records.redb")).map((entry) => entry.name).sort();
}

/** Writes a file of random bytes to send. */
export function file(dir, name, size) {
  const path = join(dir, name);
  const bytes = randomBytes(size);
  writeFileSync(path, bytes);
  return { path, bytes, name };
}

/** Opens the page in a context of its own. At the test's end it must have broken no policy and thrown no error. */
export async function open(t, chrome, url, options = {}) {
  const context = await chrome.newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (/Content.Security.Policy|Refused to/i.test(message.text())) problems.push(message.text());
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.log("Content Security Policy", event.violatedDirective));
  });
  t.after(() => assert.deepEqual(problems, []));
  page.streams = [];
  page.on("request", (request) => {
    if (request.url().includes("/uploads?")) page.streams.push(request.url());
  });
  await page.goto(url);
  return page;
}

/** What slows each page down. */
const throttles = new WeakMap();

/** Narrows the way up to so many bytes a second. */
export async function slow(page, bytesPerSecond) {
  // The slowest of several sessions would hold.
  const session = throttles.get(page) ?? (await page.context().newCDPSession(page));
  throttles.set(page, session);
  await session.send("Network.enable");
  const conditions = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond };
  await session.send("Network.emulateNetworkConditions", conditions);
}

/** Notes every change of every row's bar, and everything spoken, from now on; `seen` gives them back. */
export async function watch(page) {
  await page.evaluate(() => {
    window.seen = { bars: {}, spoken: [], alerts: [] };
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const bar = target.nodeType === 1 ? target.closest(".row .bar") : null;
        if (!bar) continue;
        const now = { percent: Number(bar.getAttribute("aria-valuenow")), kept: parseFloat(bar.style.getPropertyValue("--kept")),
          sent: parseFloat(bar.style.getPropertyValue("--sent")), done: bar.closest(".row").classList.contains("done") };
        (window.seen.bars[bar.getAttribute("aria-label")] ??= []).push(now);
      }
    }).observe(document.getElementById("list"), { subtree: true, childList: true, attributes: true });
    for (const [id, list] of [["status", window.seen.spoken], ["alert", window.seen.alerts]]) {
      const element = document.getElementById(id);
      new MutationObserver(() => list.push(element.textContent)).observe(element, { childList: true });
    }
  });
  return () => page.evaluate(() => window.seen);
}

/** The row of a file. */
export function row(page, name) {
  return page.locator(".row").filter({ has: page.locator(`.name[title="${name}"]`) });
}

/** Waits until that file's row is in that state. */
export function rowIs(page, name, state) {
  return page.locator(`.row.${state} .name[title="${name}"]`).waitFor();
}

/** A row's status in words. */
export async function words(page, name) {
  return (await row(page, name).locator(".status").innerText()).replaceAll("\u00a0", " ").trim();
}

/** Asks until the answer pleases, for ten seconds at most. */
export async function until(ask, pleases) {
  const end = Date.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (pleases(answer)) return answer;
    if (Date.now() > end) assert.fail(`still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
