/** What is announced, when, and how seldom. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import english from "../dumbwaiter.en.js";
import { BarVoice, setWords } from "../dumbwaiter.words.js";
import { PageVoice } from "../say.js";
import { MB, browser, file, folder, open, rowIs, serve, slow, watch } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());
setWords(english);

/** A voice whose clock the test moves; what it says comes with the second at which it was said. */
function listen() {
  const heard = [];
  let now = 0;
  const waiting = [];
  const region = (kind) => ({ set textContent(text) { heard.push([now / 1000, kind, text]); } });
  const clock = { now: () => now, later: (act, ms) => waiting.push([now + ms, act]) };
  const pass = (ms) => {
    now += ms;
    for (const [at, act] of waiting.splice(0)) at <= now ? act() : waiting.push([at, act]);
  };
  return { voice: new PageVoice(region("status"), region("alert"), clock), heard, pass };
}

const running = (percent, more = {}) => ({ files: 3, percent, busy: true, storing: false, ending: "", ...more });

test("an upload of a minute is announced six times at most: start, quarters, storing, end", () => {
  const { voice, heard, pass } = listen();
  for (let second = 0; second <= 60; second++) {
    voice.follow(running(Math.min(99, Math.floor((100 * second) / 60))));
    pass(1000);
  }
  for (let tick = 0; tick < 5; tick++) {
    voice.follow(running(99, { storing: true }));
    pass(1000);
  }
  voice.follow(running(100, { busy: false, ending: "3 files have arrived." }));
  assert.deepEqual(heard.map(([second, kind, text]) => `${second} ${kind}: ${text}`), [
    "0 status: Sending 3 files.", "15 status: 25 percent of 3 files.", "30 status: 50 percent of 3 files.", "45 status: 75 percent of 3 files.",
    "62 status: Everything is received and being stored.", "66 status: 3 files have arrived.",
  ]);
});

test("a fast upload is announced at its start and its end", () => {
  const { voice, heard, pass } = listen();
  for (let percent = 0; percent < 100; percent += 5) {
    voice.follow(running(percent));
    pass(500);
  }
  voice.follow(running(100, { busy: false, ending: "Done." }));
  assert.deepEqual(heard.map(([, , text]) => text), ["Sending 3 files.", "Done."]);
});

test("a slow one is announced by quarters, however long they take", () => {
  const { voice, heard, pass } = listen();
  for (let second = 0; second < 3600; second++) {
    voice.follow(running(Math.floor((100 * second) / 3600)));
    pass(1000);
  }
  assert.deepEqual(heard.map(([, , text]) => text), ["Sending 3 files.", "25 percent of 3 files.", "50 percent of 3 files.", "75 percent of 3 files."]);
});

test("errors that come together are one alert", () => {
  const { voice, heard, pass } = listen();
  for (const name of ["a", "b", "c"]) voice.failed(`${name}: The disk here is full.`);
  pass(1000);
  voice.failed("d: The disk here is full.");
  pass(1000);
  assert.deepEqual(heard.map(([, kind, text]) => [kind, text]), [["alert", "a: The disk here is full. And 2 more did not arrive."], ["alert", "d: The disk here is full."]]);
});

/** What a bar says of an upload that is in these states, one long after the other, each of a name; of two words at once the later is heard. */
function barSays(...steps) {
  const region = { textContent: "" };
  let now = 0;
  const voice = new BarVoice(region, region, () => (now += 15_000));
  return steps.map(([name, state, text = ""]) => {
    region.textContent = "";
    voice.tell({ name, state, percent: 10, ended: /done|error|cancelled/.test(state) }, { text, spoken: text });
    return region.textContent;
  });
}

test("a bar says of a line that comes and goes no more than once in 15 s, and what still holds then", () => {
  let now = 0;
  const heard = [];
  const voice = new BarVoice({ set textContent(text) { heard.push([now / 1000, text]); } }, {}, () => now);
  const tell = (state, second) => {
    now = 1000 * second;
    voice.tell({ name: "a", state, percent: 10, ended: false }, { text: "", spoken: state });
  };
  for (let second = 0; second < 60; second += 1) tell(second % 2 ? "interrupted" : "uploading", second);
  assert.deepEqual(heard, [[0, "Sending a."], [15, "a: interrupted"], [30, "a: uploading"], [45, "a: interrupted"]]);
  for (const second of [60, 61, 62, 90]) tell("interrupted", second);
  tell("uploading", 91);
  tell("interrupted", 92);
  tell("uploading", 93);
  tell("uploading", 120);
  assert.deepEqual(heard.slice(4), [[91, "a: uploading"]]);
});

test("a bar that is given another upload says nothing of one that waits", () => {
  assert.deepEqual(barSays(["a", "uploading"], ["a", "done"], ["", "waiting", "Waiting"], ["b", "uploading"]), ["Sending a.", "a has arrived.", "", "Sending b."]);
  assert.deepEqual(barSays(["a", "uploading"], ["", "waiting", "Waiting"], ["b", "uploading"]), ["Sending a.", "", "Sending b."]);
});

test("a bar that begins with an upload that rests, or is stored, does not say that it is sent", () => {
  assert.deepEqual(barSays(["", "waiting"], ["a", "interrupted", "Waiting for the connection."]), ["", "a: Waiting for the connection."]);
  assert.deepEqual(barSays(["a", "processing", "Cutting"], ["a", "done"]), ["a: Cutting", "a has arrived."]);
  assert.deepEqual(barSays(["a", "interrupted", "Waits."], ["a", "uploading", "10 percent"]), ["a: Waits.", "a: 10 percent"]);
});

test("in the browser, a real upload that takes a minute by the page's clock is announced six times at most", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await page.clock.install();
  await page.reload();
  const seen = await watch(page);
  await slow(page, 1 * MB);
  await page.setInputFiles("#file", file(folder(t), "minute.bin", 8 * MB).path);
  let seconds = 0;
  // Eight seconds of network are a minute and more of the page's clock.
  for (; await page.locator(".row:not(.done)").count() && seconds < 400; seconds++) await page.clock.runFor(1000);
  await rowIs(page, "minute.bin", "done");
  await page.clock.runFor(2000);
  const { spoken, alerts } = await seen();
  assert.ok(seconds >= 60, `only ${seconds} s passed`);
  assert.deepEqual([spoken[0], spoken.at(-1)], ["Sending 1 file.", "1 file has arrived. You can close this page."]);
  assert.ok(spoken.length >= 3 && spoken.length <= 6, spoken.join("\n"));
  assert.deepEqual(alerts, []);
});

test("texts change at most once a second while bars move, and numbers keep their places", async (t) => {
  const server = await serve(t);
  const page = await open(t, chrome, server.url);
  await slow(page, 1 * MB);
  await page.setInputFiles("#file", file(folder(t), "calm.bin", 6 * MB).path);
  await page.locator(".row.uploading .speed").waitFor();
  const { changes, moves, places } = await page.evaluate(async () => {
    const seen = { changes: [], moves: 0, places: new Set() };
    const row = document.querySelector(".row");
    new MutationObserver((list) => {
      if (list.some(({ type }) => type === "attributes")) seen.moves++;
      if (list.some(({ type, target }) => type === "childList" && target.closest?.(".percent"))) seen.changes.push(performance.now());
      const speed = row.querySelector(".speed");
      if (speed) seen.places.add(speed.getBoundingClientRect().x);
    }).observe(row, { subtree: true, childList: true, attributes: true, attributeFilter: ["style"] });
    await new Promise((resolve) => setTimeout(resolve, 3500));
    return { ...seen, places: [...seen.places] };
  });
  assert.ok(changes.length >= 2 && moves > 2 * changes.length, `${changes.length} changes, ${moves} moves`);
  for (const [i, at] of changes.entries()) if (i > 0) assert.ok(at - changes[i - 1] > 950, `two changes within ${at - changes[i - 1]} ms`);
  assert.equal(places.length, 1, `the speed stood at ${places}`);
});
