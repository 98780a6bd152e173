/** Numbers, times and errors in words, without a browser. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import english from "../dumbwaiter.en.js";
import { Progress } from "../dumbwaiter.js";
import { EtaWords, errorWords, formatBytes, setWords, statusWords } from "../dumbwaiter.words.js";
import { countFiles, formatLimit, joinParts } from "../words.js";

setWords(english);

const plain = (text) => text.replaceAll("\u00a0", " ");

test("sizes are rounded and limits cut off, in the words of the server", () => {
  const cases = readFileSync(new URL("../../src/sizes.txt", import.meta.url), "utf8").trim().split("\n").slice(1);
  assert.ok(cases.length >= 20);
  for (const line of cases) {
    const [bytes, size, limit] = line.split("|");
    assert.deepEqual([plain(formatBytes(Number(bytes))), plain(formatLimit(Number(bytes)))], [size, limit], bytes);
  }
  assert.equal(plain(formatBytes(812.4)), "812 bytes", "a speed is no whole number");
});

test("one is a file, all else are files", () => {
  assert.deepEqual([0, 1, 2].map(countFiles), ["0 files", "1 file", "2 files"]);
  assert.equal(joinParts(["a", "", "b"]), "a · b");
});

test("time left is told in rounded words", () => {
  const cases = [[3, "a few seconds"], [11, "about 20 sec"], [49, "about 50 sec"], [55, "about 1 min"], [150, "about 3 min"], [3500, "about 1 hr"], [7300, "about 2 hr"]];
  for (const [seconds, text] of cases) assert.equal(plain(new EtaWords().of(seconds, 0).seen), text);
  assert.equal(new EtaWords().of(60, 0).spoken, "about 1 minute left");
  assert.equal(new EtaWords().of(null, 0).seen, "");
});

test("an estimate shrinks at once and grows only when it has stayed a fifth higher for five seconds", () => {
  const eta = new EtaWords();
  const at = (seconds, now) => plain(eta.of(seconds, now).seen);
  assert.equal(at(300, 0), "about 5 min");
  assert.equal(at(120, 1000), "about 2 min");
  assert.equal(at(600, 2000), "about 2 min");
  assert.equal(at(121, 4000), "about 2 min", "a dip below a fifth starts the wait anew");
  assert.equal(at(600, 5000), "about 2 min");
  assert.equal(at(600, 9999), "about 2 min");
  assert.equal(at(600, 10_000), "about 10 min");
});

test("an error says what happened, what is kept and what to do", () => {
  const say = (code, message = "", whole = false) => errorWords({ error: { code, message }, state: "error", whole });
  assert.equal(say("disk_full"), "The disk here is full. Nothing of it is kept. Try again later.");
  assert.equal(say("refused", "programs are not taken here"),
    "Programs are not taken here. Nothing of it is kept. Choose another file, or ask who runs this page.");
  assert.match(say("connection_lost"), /Nothing of it is kept/);
  assert.match(say("connection_lost", "", true), /it may be here/);
  assert.match(say("disk_full", "", true), /Nothing of it is kept/, "the server said so itself");
  const half = (code, status, record = null) => errorWords({ error: { code, status, message: "" }, state: "error", whole: false, resumable: true, kept: 0.5, size: 2e6, record });
  assert.match(plain(half("connection_lost", 0)), /1\.0 MB are kept/);
  assert.match(half("type_not_allowed", 415), /Nothing of it is kept/, "what is refused is thrown away");
  assert.match(half("stalled", 408, { error: { code: "stalled" } }), /Nothing of it is kept/, "the server has ended it");
});

test("of what the server knows nothing any more, nobody says whether something of it is kept", () => {
  const progress = new Progress();
  progress.told({ progress_id: null, state: "interrupted", length: 2e6, received: 1e6, offset: 1e6, rate: null, eta: null, phase: null, error: null });
  assert.match(plain(statusWords(progress).text), /1\.0 MB are kept/);
  progress.told(null);
  assert.equal(errorWords(progress), "The server knows nothing of this upload any more. Ask who runs this page.");
});

test("what an app says of what it does not take is said to the person; where it says nothing, ours is", () => {
  const refused = (body) => errorWords({ error: { code: "app_refused", status: 409, message: "no such dish", reply: body && { body } }, state: "error", whole: true });
  const ours = "The server behind this page does not take the file. Nothing of it is kept. Ask who runs this page.";
  assert.equal(refused({ detail: "no such dish" }), ours.replace(/^[^.]*/, "No such dish"));
  for (const body of [null, "<p>no", { detail: "" }, { code: "app_refused", detail: "the app refused the upload with status 409" }]) assert.equal(refused(body), ours);
});
