import { Dropzone } from "./vendor/dropzone.js";
import { follow } from "./follow.js";

const common = { maxFilesize: null, dictDefaultMessage: "Drop files here, or choose" };

const plain = new Dropzone("#plain", common);
plain.on("sending", (file, xhr) => xhr.setRequestHeader("X-Progress-ID", follow(file.name)));

const chunked = new Dropzone("#chunked", {
  ...common,
  chunking: true,
  forceChunking: true,
  chunkSize: 1_000_000,
  retryChunks: true,
  retryChunksLimit: 10,
});
// Of chunks, Dropzone's own id is the upload's X-Progress-ID.
chunked.on("processing", (file) => follow(file.name, file.upload.uuid));
