import { Upload } from "./vendor/tus.js";
import { follow } from "./follow.js";

const [input, pause, said] = ["file", "pause", "said"].map((id) => document.getElementById(id));
let upload = null;
let runs = false;

input.addEventListener("change", async () => {
  const [file] = input.files;
  if (!file) return;
  await upload?.abort();
  const id = `tus-${file.name}-${file.size}-${file.lastModified}`;
  upload = new Upload(file, {
    protocol: "ietf-draft-05",
    endpoint: new URL("files/", location.href).href,
    metadata: { filename: file.name, filetype: file.type },
    headers: { "X-Progress-ID": encodeURIComponent(follow(file.name, id)) },
    retryDelays: [0, 1000, 3000, 5000],
    // The first bytes come with the POST, and an empty file is whole at once.
    uploadDataDuringCreation: true,
    removeFingerprintOnSuccess: true,
    onError: (error) => end(`It failed: ${error.message}`),
    onSuccess: () => end(`${file.name} has arrived.`),
  });
  for (const earlier of (await upload.findPreviousUploads()).slice(0, 1)) upload.resumeFromPreviousUpload(earlier);
  go();
});

pause.addEventListener("click", () => {
  if (!runs) return go();
  upload.abort();
  runs = false;
  pause.textContent = "Resume";
});

function go() {
  upload.start();
  runs = true;
  said.textContent = "";
  pause.textContent = "Pause";
  pause.hidden = false;
}

function end(words) {
  runs = false;
  pause.hidden = true;
  said.textContent = words;
}
