/** tus-js-client in Node against the binary, over a line that does as it is told; what its tests share. */
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import tus from "tus-js-client";
import { MB, file, folder, serve } from "../support.js";
import { HEADS, followers, idOf } from "./follow.js";
import { line } from "./line.js";

/** A server, a line to it, a file to send, and who follows each upload. */
export async function stage(t, { size = 4 * MB, flags = [] } = {}) {
  const server = await serve(t, ...flags);
  return { server, line: await line(t, server), sent: file(folder(t), "paella.bin", size), seen: followers(t, server) };
}

/** An upload of tus-js-client over that line: `done` is how it ends, `requests` what went over the wire and came back. */
export function send(t, { line, sent, seen }, options = {}, input = createReadStream(sent.path)) {
  const requests = [];
  let upload;
  const done = new Promise((resolve, reject) => {
    upload = new tus.Upload(input, {
      endpoint: `${line.url}files/`, retryDelays: [0, ...Array(20).fill(100)],
      metadata: { filename: sent.name, filetype: "application/x-paella" },
      onSuccess: resolve, onError: reject, ...options,
      async onBeforeRequest(request) {
        if (idOf(request.getURL())) await seen?.before(request.getURL());
        await options.onBeforeRequest?.(request);
      },
      onAfterResponse(request, answer) {
        const method = request.getHeader("X-HTTP-Method-Override") ?? request.getMethod();
        const [from, status] = [request.getHeader("Upload-Offset"), answer.getStatus()];
        requests.push({ method, sent: request.getMethod(), from, status, headers: (name) => answer.getHeader(name) });
      },
    });
  });
  // Who only looks at how it was aborted does not wait for its end.
  done.catch(() => {});
  t.after(() => upload.abort());
  const wire = () => requests.map(({ method, status }) => `${method} ${status}`);
  return { upload, done, requests, wire, start: () => upload.start() };
}

/** Sends until about `bytes` have come, held there; gives the stream. */
export async function sendUntil(stage, sending, bytes) {
  stage.line.allow(bytes);
  sending.start();
  const [stream] = await stage.seen.first();
  await stream.receives(bytes - HEADS);
  return stream;
}

/** Lets what was broken off go on, far enough to be seen to, and then to its end. */
export async function goOn({ line }, sending, stream, go) {
  await stream.goesOn(line, go);
  line.flow();
  await sending.done;
  await stream.becomes("done");
}

/** Where the upload goes on: the offset that the last HEAD told, which is where the next PATCH began. */
export function resumedAt({ requests }) {
  const at = requests.findLastIndex(({ method }) => method === "HEAD");
  const offset = Number(requests[at].headers("upload-offset"));
  const next = requests.slice(at + 1).find(({ method }) => method === "PATCH");
  assert.equal(Number(next.from), offset);
  return offset;
}

/** The bytes again, cut into pieces: a stream that does not know its length. */
export function* pieces(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
