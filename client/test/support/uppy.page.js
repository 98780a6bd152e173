/** In the page: Uppy with its tus plugin and no interface of its own. Runs in the browser. */
import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

window.requests = [];

/** Makes an Uppy for uploads to `endpoint`. */
window.begin = (endpoint) => {
  window.uppy = new Uppy({ meta: { dish: "12" } }).use(Tus, {
    endpoint, retryDelays: [0, ...Array(20).fill(100)], removeFingerprintOnSuccess: true,
    onBeforeRequest: (request) => window.before(request.getURL()),
    onAfterResponse(request, answer) {
      window.requests.push({ method: request.getMethod(), status: answer.getStatus(), from: request.getHeader("Upload-Offset"),
        offset: answer.getHeader("Upload-Offset") });
    },
  });
};

/** Adds the chosen files and sends them; `ended` tells how many went up and how many failed. */
window.send = () => {
  for (const file of document.getElementById("file").files) window.uppy.addFile({ name: file.name, type: file.type, data: file });
  window.ended = window.uppy.upload().then(({ successful, failed }) => [successful.length, failed.length]);
};
window.ready = true;
