/** In the page: Dropzone, as its documentation starts it. Runs in the browser. */
import Dropzone from "dropzone";

const here = document.body.appendChild(document.createElement("div"));

/** What Dropzone tells its page of each file. */
window.told = { success: [], error: [] };

/** Makes a Dropzone for uploads to `url`; `named` says the names by which plain forms are followed. */
window.begin = (url, { put, ...options }) => {
  window.zone = new Dropzone(here, { url: put ? ([file]) => `${url}${encodeURIComponent(file.name)}` : url, autoProcessQueue: false, parallelUploads: 3, ...options });
  window.zone.on("success", (file, answer) => window.told.success.push({ name: file.name, answer }));
  window.zone.on("error", (file, message) => window.told.error.push({ name: file.name, message }));
  // Of what is sent in one piece the header field is the name, of chunks their `dzuuid`.
  window.zone.on("sending", (file, xhr) => file.upload.chunked || xhr.setRequestHeader("X-Progress-ID", file.upload.uuid));
  window.ended = new Promise((resolve) => {
    window.zone.on("queuecomplete", () => resolve([window.told.success.length, window.told.error.length]));
  });
};

/** Adds the chosen files and sends them. */
window.send = async () => {
  for (const file of document.getElementById("file").files) window.zone.addFile(file);
  for (const { upload } of window.zone.files) await window.named(upload.uuid);
  // Dropzone takes up a file once it has looked at it.
  while (window.zone.getQueuedFiles().length < window.zone.files.length) await new Promise(requestAnimationFrame);
  window.zone.processQueue();
};
window.ready = true;
