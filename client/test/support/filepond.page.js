/** In the page: FilePond, as its documentation starts it. Runs in the browser. */
import * as FilePond from "filepond";

const here = document.body.appendChild(document.createElement("div"));
const names = new Map();

/** Makes a FilePond for uploads to `url`; each file has a name of its own, so that it is followed. */
window.begin = (url, options) => {
  window.pond = FilePond.create(here, {
    allowMultiple: true, allowMinimumUploadDuration: false, chunkRetryDelays: [100, 300, 1000],
    labelFileProcessingError: ({ body }) => body,
    ...options,
    server: { url, process: { headers: said(options), onerror: (words) => words }, patch: { onerror: (words) => words } },
  });
  window.ended = new Promise((resolve) => {
    window.pond.on("processfiles", () => resolve("done"));
    window.pond.on("processfile", (error) => error && resolve(error.body));
  });
};

/** What the first request says of a file. FilePond says the length by itself only where this is no function. */
function said({ chunkUploads }) {
  return (file) => ({ "X-Progress-ID": names.get(file.name), ...(chunkUploads ? { "Upload-Length": file.size } : {}) });
}

/** Adds the chosen files, which FilePond sends at once. */
window.send = async () => {
  const { files } = document.getElementById("file");
  for (const { name } of files) names.set(name, await window.named());
  window.pond.setOptions({ instantUpload: true });
  window.pond.addFiles([...files]);
};

/** What the server called the files. */
window.ids = () => window.pond.getFiles().map(({ serverId }) => serverId);
window.ready = true;
