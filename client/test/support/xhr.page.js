/** In the page: Uppy with its XHR plugin and no interface of its own. Runs in the browser. */
import Uppy from "@uppy/core";
import XHRUpload from "@uppy/xhr-upload";

/** What Uppy tells its page of each file. */
window.told = { success: [], error: [] };

/** Makes an Uppy for uploads to `endpoint`; every attempt has a name of its own, so that each is followed. */
window.begin = (endpoint, { put, patient, ...options }) => {
  window.uppy = new Uppy({ meta: { dish: "12" } }).use(XHRUpload, {
    endpoint: put ? (file) => `${endpoint}${encodeURIComponent(file.name)}` : endpoint,
    async onBeforeRequest(xhr) { xhr.setRequestHeader("X-Progress-ID", await window.named()); },
    ...(patient ? {} : careful()), ...options,
  });
  window.uppy.on("upload-success", (file, { status, uploadURL, body }) => window.told.success.push({ name: file.name, status, uploadURL, body }));
  window.uppy.on("upload-error", (file, error) => window.told.error.push({ name: file.name, message: error.message }));
};

/** What docs/clients.md says to set: a refusal is final, and its words are ours. */
function careful() {
  return {
    shouldRetry: (xhr) => xhr.status === 0 || xhr.status >= 500,
    onAfterResponse(xhr) {
      if (xhr.status >= 400) throw new Error(JSON.parse(xhr.responseText).detail);
    },
  };
}

/** Adds the chosen files and sends them; `ended` tells how many went up and how many failed. */
window.send = () => {
  for (const file of document.getElementById("file").files) window.uppy.addFile({ name: file.name, type: file.type, data: file });
  window.ended = window.uppy.upload().then((result) => [result?.successful?.length, result?.failed?.length]);
};
window.ready = true;
