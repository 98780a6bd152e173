/** In the page: tus-js-client, as its documentation starts it. Runs in the browser. */
import * as tus from "tus-js-client";

window.tus = tus;

/** What went over the wire, for the test to read; and `window.before`, which the test brings, waits for its follower. */
window.requests = [];

/** Makes an upload of the chosen file, or of a stream of it. */
window.upload = (options, streamed) => {
  const [file] = document.getElementById("file").files;
  const input = streamed ? file.stream().getReader() : file;
  window.ended = new Promise((resolve) => {
    window.current = new tus.Upload(input, {
      metadata: { filename: file.name, filetype: file.type },
      retryDelays: [0, ...Array(20).fill(100)],
      ...options,
      onSuccess: () => resolve("done"),
      onError: (error) => resolve(String(error)),
      onBeforeRequest: (request) => window.before(request.getURL()),
      onAfterResponse(request, answer) {
        const [offset, version] = ["Upload-Offset", "Tus-Resumable"].map((name) => answer.getHeader(name));
        window.requests.push({ method: request.getMethod(), from: request.getHeader("Upload-Offset"), status: answer.getStatus(), offset, version });
      },
    });
  });
};
window.ready = true;
