/** Limits: told before anything is sent, and kept to in the row. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import english from "../dumbwaiter.en.js";
import { canRetry, errorWords, setWords } from "../dumbwaiter.words.js";
import { Limits } from "../limits.js";
import { MB, browser, file, folder, open, row, rowIs, serve, until, watch, words } from "./support.js";

let chrome;
before(async () => { chrome = await browser(); });
after(() => chrome?.close());
setWords(english);

test("only what is sure to be refused is refused beforehand", () => {
  const refused = (limits, size, type = "") => new Limits(limits).refuse({ size, type })?.code ?? null;
  assert.equal(refused({}, 1e15, "video/mp4"), null);
  assert.equal(refused({ maxFileSize: 5 }, 5), null);
  assert.equal(refused({ maxFileSize: 5 }, 6), "file_too_large");
  assert.equal(refused({ maxFileSize: 7, maxUploadSize: 5 }, 6), "upload_too_large");
  const { message } = new Limits({ maxFileSize: 1_999_999 }).refuse({ size: 3e6, type: "" });
  assert.equal(message.replaceAll("\u00a0", " "), "The file has 3.0 MB, and at most 1.9 MB are taken here.");
  const pictures = { types: ["image/*"] };
  for (const [type, code] of [["image/png", null], ["", null], ["video/mp4", "type_not_allowed"], ["text/plain", "type_not_allowed"]])
    assert.equal(refused(pictures, 1, type), code, type);
  // Which of these a file is, its bytes say: a name's ending is no proof.
  for (const type of ["text/csv", "application/zip", "application/x-zip-compressed"])
    assert.equal(refused({ types: ["application/pdf"] }, 1, type), null, type);
  assert.equal(refused({ types: ["image/png", "application/pdf"] }, 1, "image/gif"), "type_not_allowed");
  assert.equal(refused({ types: ["*/*"] }, 1, "image/gif"), null);
});

test("the limits stand on the page before anything is sent, with script and without", async (t) => {
  const server = await serve(t, "--max-file-size", "5MB", "--max-upload-size", "9MB", "--allow-type", "image/*,application/pdf", "--keep", "7d");
  for (const javaScriptEnabled of [true, false]) {
    const page = await open(t, chrome, server.url, { javaScriptEnabled });
    const text = await page.locator("#limits").innerText();
    assert.match(text, /^Pictures and PDF files, up to 5\.0 MB each\./);
    assert.match(text, /They go to whoever runs this server, and are removed there after 7 days\.$/);
    assert.equal(/At most 1000 files at once, 9\.0 MB together\./.test(text), !javaScriptEnabled);
    assert.equal(await page.locator("#file").getAttribute("accept"), "image/*,application/pdf");
  }
});

test("without limits the page says so", async (t) => {
  const page = await open(t, chrome, (await serve(t)).url);
  assert.match(await page.locator("#limits").innerText(), /^Files of any type and size\.\s+They go to whoever runs this server\.$/);
});

test("of several files too large at once none is sent", async (t) => {
  const server = await serve(t, "--max-file-size", "1MB");
  const page = await open(t, chrome, server.url);
  const posts = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
  const dir = folder(t);
  const large = ["a.bin", "b.bin", "c.bin", "d.bin"].map((name) => file(dir, name, 2 * MB).path);
  await page.setInputFiles("#file", [...large, file(dir, "small.bin", 1000).path]);
  await rowIs(page, "small.bin", "done");
  assert.equal(await page.locator(".row.error").count(), large.length);
  assert.equal(posts.length, 1);
});

test("a known limit is refused in the row, once aloud, and nothing is sent", async (t) => {
  const server = await serve(t, "--max-file-size", "1MB");
  const page = await open(t, chrome, server.url);
  const seen = await watch(page);
  const posts = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
  const dir = folder(t);
  await page.setInputFiles("#file", [file(dir, "large.bin", 3 * MB).path, file(dir, "small.bin", 1000).path]);
  await rowIs(page, "small.bin", "done");
  const said = "The file has 3.0 MB, and at most 1.0 MB are taken here. Nothing was sent. Choose a smaller one.";
  assert.equal(await words(page, "large.bin"), `! ${said} file_too_large`);
  assert.deepEqual(await row(page, "large.bin").locator("button:visible").allInnerTexts(), ["Remove"]);
  assert.equal(await row(page, "large.bin").locator(".percent").innerText(), "");
  assert.equal(posts.length, 1);
  await until(async () => (await seen()).alerts, (alerts) => alerts.length === 1 && alerts[0] === `large.bin: ${said}`.replaceAll(/(\d) MB/g, "$1\u00a0MB"));
  assert.deepEqual((await seen()).spoken, ["Sending 1 file.", "1 file has arrived. 1 file did not."]);
});

test("a file whose name misleads can be sent anyway, and the server looks at its bytes", async (t) => {
  const server = await serve(t, "--allow-type", "image/png");
  const page = await open(t, chrome, server.url);
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=", "base64");
  await page.setInputFiles("#file", [{ name: "really-a.gif", mimeType: "image/gif", buffer: png }, { name: "song.mp3", mimeType: "audio/mpeg", buffer: Buffer.from("la la") }]);
  assert.equal(await words(page, "really-a.gif"), "! By its name the file is image/gif, which is not taken here. Nothing was sent. Choose another file. type_not_allowed");
  for (const name of ["really-a.gif", "song.mp3"]) await page.getByRole("button", { name: `Send anyway ${name}` }).click();
  await rowIs(page, "really-a.gif", "done");
  await until(() => words(page, "song.mp3"), (text) => text === "! Files of this type are not taken here. Nothing of it is kept. Choose another file. type_not_allowed");
  assert.deepEqual(server.stored(), ["really-a.gif"]);
});

test("every code that a sent file can meet has words of the page's own, and an act", () => {
  const codes = [...readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8").matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  // What our page's own requests never meet, and `refused`, which comes with a handler's sentence.
  const strange = ["malformed_form", "not_a_form", "missing_enctype", "missing_boundary", "refused", "superseded", "offset_mismatch", "checksum_mismatch", "length_mismatch", "digest_mismatch", "completed_upload", "parallel_chunks", "final_upload", "not_resumable", "tus_version", "wrong_content_type", "method_not_allowed",
    "missing_progress_id", "missing_file", "not_kept", "bad_request", "host_not_allowed", "origin_not_allowed", "head_too_large", "head_timeout", "loop", "too_many_watchers", "too_many_tunnels"];
  const saidOf = (code) => errorWords({ error: { code, message: "THE SERVER'S LINE", early: false }, state: "error", whole: false });
  assert.ok(codes.length > 35, `${codes.length} codes`);
  for (const code of codes.filter((code) => !strange.includes(code))) {
    assert.ok(!saidOf(code).includes("THE SERVER'S LINE"), `${code} has no words`);
  }
  for (const code of ["connection_lost", "file_unreadable", "foreign_answer", "no_ticket"]) assert.ok(!saidOf(code).includes("THE SERVER'S LINE"), `${code} has no words`);
  for (const code of strange) assert.ok(codes.includes(code), `${code} is a code no more`);
});

test("retry is offered where it may help", () => {
  const offers = (code, status, early = false) => canRetry({ code, status, early });
  for (const [code, status] of [["connection_lost", 0], ["disk_full", 507], ["too_many_uploads", 503], ["http_502", 502], ["http_500", 500], ["stalled", 408], ["truncated_form", 400], ["foreign_answer", 200]])
    assert.ok(offers(code, status), code);
  for (const [code, status] of [["name_taken", 409], ["upload_too_large", 413], ["type_not_allowed", 415], ["file_unreadable", 0], ["refused", 422], ["http_413", 413], ["unauthorized", 401]])
    assert.ok(!offers(code, status), code);
  assert.ok(!offers("file_too_large", 0, true));
});
