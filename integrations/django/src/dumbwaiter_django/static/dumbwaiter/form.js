/**
 * Gives every form of the template tag its bar. The form goes up as it would without script, with a progress id; the bar
 * draws what Dumbwaiter says of it, and what the browser has sent where nobody says anything. The answer is shown as the
 * browser would: another address is gone to, a page takes this one's place.
 */

for (const form of document.querySelectorAll("form[data-dumbwaiter]"))
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.dumbwaiterBusy) send(form, event.submitter);
  });

function send(form, submitter) {
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const show = shower(form);
  const address = new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? "", location.href);
  address.hash = "";
  address.searchParams.set("X-Progress-ID", id);
  const xhr = new XMLHttpRequest();
  xhr.open("POST", address);
  const body = new FormData(form);
  if (submitter?.name) body.append(submitter.name, submitter.value);
  const events = new EventSource(`${form.dataset.dumbwaiter}/uploads?X-Progress-ID=${id}`);
  let told = false;
  events.onmessage = ({ data }) => {
    told = true;
    show.record(JSON.parse(data));
  };
  xhr.upload.onprogress = ({ loaded, total }) => { if (!told) show.part(loaded, total); };
  const ended = (after) => () => {
    events.close();
    form.dumbwaiterBusy = false;
    after(xhr, address, show);
  };
  xhr.onload = ended(answered);
  xhr.onerror = xhr.onabort = ended(() => show.failed("The connection broke. Nothing was kept; send it again."));
  form.dumbwaiterBusy = true;
  show.part(0, 1);
  xhr.send(body);
}

/** What a browser does with the answer to a form. */
function answered(xhr, address, show) {
  const type = xhr.getResponseHeader("content-type") ?? "";
  const moved = new URL(xhr.responseURL);
  moved.searchParams.delete("X-Progress-ID");
  if (type.startsWith("application/problem+json")) return show.failed(sentence(xhr.responseText));
  if (xhr.responseURL !== address.href) return location.assign(moved);
  if (type.startsWith("text/html") && xhr.responseText) {
    document.open();
    document.write(xhr.responseText);
    return document.close();
  }
  if (xhr.status >= 400) return show.failed(`The server refused it (${xhr.status}).`);
  show.done();
}

function sentence(problem) {
  try {
    const { detail, title } = JSON.parse(problem);
    return `This did not arrive: ${detail ?? title}.`;
  } catch {
    return "This did not arrive.";
  }
}

/** Draws on the form. What is spoken changes with what happens, the percent beside it does not speak. */
function shower(form) {
  const [bar, words, status] = ["bar", "words", "status"].map((name) => form.querySelector(`.dumbwaiter-${name}`));
  let last = 0;
  const draw = (percent) => {
    last = Math.max(last, percent);
    bar.firstElementChild.style.width = `${last}%`;
    bar.setAttribute("aria-valuenow", last);
    words.textContent = `${last} %`;
  };
  const say = (text) => { if (status.textContent !== text) status.textContent = text; };
  bar.hidden = false;
  status.classList.remove("bad");
  say("Sending.");
  return {
    part: (done, total) => draw(total ? Math.min(99, Math.floor((100 * done) / total)) : 0),
    record({ state, received, length, phase }) {
      if (state === "processing") {
        draw(99);
        say(phase ? steps(phase) : "All sent. The site is working on it.");
      } else if (state !== "error") this.part(received, length);
    },
    done() {
      draw(100);
      say("Arrived.");
    },
    failed(text) {
      status.classList.add("bad");
      say(text);
    },
  };
}

/** "scanning, 3 of 10" */
function steps({ name, done, total }) {
  const word = name.charAt(0).toUpperCase() + name.slice(1);
  return total ? `${word}, ${done ?? 0} of ${total}` : word;
}
