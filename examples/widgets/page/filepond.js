import { create } from "./vendor/filepond.js";
import { follow } from "./follow.js";

/** A refusal is one line of text: `onerror` hands it on to the label. */
const told = { onerror: (words) => words };
const labels = { labelFileProcessingError: ({ body }) => body || "The connection was lost" };

create(document.getElementById("plain"), {
  ...labels,
  server: {
    url: "filepond",
    process: { ...told, headers: (file) => ({ "X-Progress-ID": follow(file.name) }) },
  },
});

/** The ids of what has arrived, so that a reload finds it again. */
const kept = JSON.parse(localStorage.getItem("filepond") ?? "[]");
const keep = (ids) => localStorage.setItem("filepond", JSON.stringify(ids));

const pond = create(document.getElementById("chunked"), {
  ...labels,
  server: {
    url: "filepond",
    // A function in this place has to say the length too.
    process: { ...told, headers: (file) => ({ "Upload-Length": file.size, "X-Progress-ID": follow(file.name) }) },
    patch: told,
  },
  chunkUploads: true,
  chunkForce: true,
  chunkSize: 1_000_000,
  chunkRetryDelays: [500, 1000, 3000, 10_000],
  files: kept.map((id) => ({ source: id, options: { type: "limbo" } })),
});
const remember = () => keep(pond.getFiles().map(({ serverId }) => serverId).filter(Boolean));
pond.on("processfile", remember);
pond.on("processfilerevert", (item) => keep(pond.getFiles().filter(({ id }) => id !== item.id).map(({ serverId }) => serverId).filter(Boolean)));
