/**
 * What the server says of each upload, beside what the widget says: one event stream for all that are under way.
 *
 * A browser opens six connections to a host over HTTP/1.1, so one stream is all that is taken.
 */
const WORDS = { starting: "○ Begins", uploading: "Uploading", interrupted: "❙❙ Interrupted", processing: "Is being stored", done: "✓ Arrived", error: "! Failed" };
const list = document.getElementById("server");
const rows = new Map();
let stream = null;

/** Follows the upload that will carry `id` as its X-Progress-ID, and gives the id. */
export function follow(name, id = random()) {
  if (!rows.has(id)) rows.set(id, row(name));
  stream?.close();
  const running = [...rows].filter(([, { ended }]) => !ended).map(([id]) => `X-Progress-ID=${encodeURIComponent(id)}`);
  stream = new EventSource(`uploads?${running.join("&")}`);
  stream.onmessage = ({ data }) => draw(JSON.parse(data));
  stream.addEventListener("gone", ({ data }) => { rows.get(data) && (rows.get(data).ended = true); });
  return id;
}

function random() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("");
}

function row(name) {
  const [item, said, bar] = ["li", "span", "progress"].map((tag) => document.createElement(tag));
  bar.setAttribute("aria-label", name);
  const title = Object.assign(document.createElement("span"), { className: "name", textContent: name });
  item.append(title, said, bar);
  list.append(item);
  return { item, said, bar, ended: false };
}

function draw({ progress_id: id, state, length, received, offset, error }) {
  const { item, said, bar } = rows.get(id);
  const kept = offset ?? received;
  const percent = state === "done" ? 100 : Math.min(99, Math.floor((100 * kept) / (length || Infinity)));
  item.className = state;
  said.textContent = state === "uploading" && length ? `${percent} %` : WORDS[state] + (error ? `: ${error.message}` : "");
  if (length === null) bar.removeAttribute("value");
  else bar.value = percent / 100;
  rows.get(id).ended = state === "done" || state === "error";
}
