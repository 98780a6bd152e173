/** In the page: what docs/clients.md has its reader import. Runs in the browser. */
import Uppy from "@uppy/core";
import XHRUpload from "@uppy/xhr-upload";
import Dropzone from "dropzone";
import * as FilePond from "filepond";
import * as tus from "tus-js-client";

const zone = Object.assign(document.createElement("div"), { id: "zone" });
document.body.append(zone);
const clients = { Dropzone, FilePond, Uppy, XHRUpload, tus };

/** Runs a block of the guide with the chosen file, and what makes its client send after it. */
window.run = (code, go) => {
  const [file] = document.getElementById("file").files;
  new Function("file", ...Object.keys(clients), `${code}\n${go}`)(file, ...Object.values(clients));
};
window.ready = true;
