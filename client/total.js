/** All files together: the bar above the list, the lift beside it, the document's title, and what is spoken. */
import { byId, drawBar, found, writeParts } from "./dom.js";
import { Lift } from "./lift.js";
import { ofSize } from "./row.js";
import { EtaWords, canRetry, formatBytes } from "./dumbwaiter.words.js";
import { countFiles, joinParts } from "./words.js";
/** @import { Upload } from "./dumbwaiter.js" */
/** @import { PageVoice } from "./say.js" */

/**
 * The numbers of all uploads that may still arrive or have arrived; `out` says how many are left out, and why. `kept` and `sent` are for the bar; `told` is what
 * words and percent say: what the server has, or what was sent where no stream tells.
 * @param {Upload[]} list
 */
function sum(list) {
  const live = list.filter((upload) => upload.state !== "error" && upload.state !== "cancelled");
  const total = { files: live.length, done: 0, bytes: 0, kept: 0, sent: 0, told: 0, rate: 0, blind: false, untimed: false, storing: true };
  for (const upload of live) {
    const size = Math.max(1, upload.size);
    const { blind } = upload;
    total.bytes += size;
    total.kept += size * upload.kept;
    total.sent += size * upload.gone;
    total.told += size * (blind ? upload.gone : upload.kept);
    total.done += upload.state === "done" ? 1 : 0;
    total.rate += upload.running && !upload.silent ? (upload.record?.rate ?? 0) : 0;
    total.blind ||= blind;
    total.untimed ||= upload.state === "uploading" && upload.record?.eta == null;
    total.storing &&= upload.state === "processing" || upload.state === "done";
  }
  const percent = Math.min(99, Math.floor((100 * total.told) / (total.bytes || 1)));
  const [failed, cancelled] = ["error", "cancelled"].map((state) => list.filter((upload) => upload.state === state).length);
  const out = joinParts([failed ? `${failed} failed` : "", cancelled ? `${cancelled} cancelled` : ""]);
  return { ...total, out, percent: total.done === total.files ? 100 : percent };
}

/** The row above the list, the document's title and what is spoken. */
export class Total {
  #element = byId("total", HTMLElement);
  #words = found(this.#element, ".words", HTMLElement);
  #percent = found(this.#element, ".percent", HTMLElement);
  #bar = found(this.#element, ".bar", HTMLDivElement);
  #button = byId("all", HTMLButtonElement);
  #lift = new Lift();
  #voice;
  #eta = new EtaWords();
  #title = document.title;
  #busy = false;
  #out = "";
  /** @type {Upload[]} */
  #list = [];

  /** @param {PageVoice} voice @param {(act: "cancel" | "retry", uploads: Upload[]) => void} pressed called for all at once */
  constructor(voice, pressed) {
    this.#voice = voice;
    this.#button.onclick = (event) => {
      const { act, uploads } = forAll(this.#list);
      if (event.detail <= 1) pressed(act, uploads);
    };
  }

  /** @param {Upload[]} list @param {boolean} tick whether texts may change */
  draw(list, tick = false) {
    this.#list = list;
    const total = sum(list);
    const busy = list.some((upload) => !upload.ended);
    const turned = busy !== this.#busy;
    this.#busy = busy;
    // The numbers fall with what is left out, so the words that say so come at once.
    const fell = total.out !== this.#out;
    this.#out = total.out;
    this.#element.hidden = list.length === 0;
    this.#element.classList.toggle("ended", !busy);
    this.#bar.hidden = this.#percent.hidden = !busy;
    drawBar(this.#bar, total.kept / (total.bytes || 1), total.sent / (total.bytes || 1));
    this.#bar.setAttribute("aria-valuenow", `${total.percent}`);
    const ending = endWords(list);
    if (turned || fell || tick || !busy) this.#drawTexts(list, total, busy ? "" : ending);
    this.#drawButton(list);
    this.#drawLift(list, total, busy);
    this.#voice.follow({ ...total, busy, ending: total.done > 0 ? ending : "" });
  }

  /** @param {Upload[]} list @param {ReturnType<typeof sum>} total @param {string} ending empty while any runs */
  #drawTexts(list, total, ending) {
    this.#percent.textContent = `${total.percent}\u00a0%`;
    if (ending) writeParts(this.#words, { text: ending });
    else this.#drawRunning(total);
    const allThere = total.done > 0 && !list.some((upload) => upload.state === "error");
    if (!ending) document.title = `${total.percent} % · ${countFiles(total.files)}`;
    else document.title = allThere ? `✓ ${countFiles(total.done)} · ${this.#title}` : this.#title;
  }

  /** @param {ReturnType<typeof sum>} total */
  #drawRunning(total) {
    const open = total.untimed || total.rate === 0 ? null : (total.bytes - total.told) / total.rate;
    const left = this.#eta.of(open, performance.now());
    const count = joinParts([total.files > 1 || total.out ? `${total.done} of ${countFiles(total.files)}` : "", total.out]);
    const speed = total.rate ? `${formatBytes(total.rate)}/s` : "";
    const size = `${ofSize(total.told, total.bytes)}${total.blind ? " sent" : ""}`;
    writeParts(this.#words, { count, size, speed, left: left.seen });
    this.#bar.setAttribute("aria-valuetext", joinParts([`${total.percent} percent`, total.out.replace(" · ", ", "), left.spoken], ", "));
  }

  /** @param {Upload[]} list */
  #drawButton(list) {
    const { act, uploads } = forAll(list);
    const shown = act === "cancel" ? "Cancel all" : "Retry all";
    if (this.#button.textContent !== shown) this.#button.textContent = shown;
    this.#button.hidden = uploads.length < 2;
  }

  /** @param {Upload[]} list @param {ReturnType<typeof sum>} total @param {boolean} busy */
  #drawLift(list, total, busy) {
    const served = !busy && total.done > 0;
    const still = list.some((upload) => upload.state === "interrupted") || (!busy && !served);
    this.#lift.draw(total.bytes ? total.kept / total.bytes : 0, served, still);
  }
}

/** What can be done for several at once, and for which. @param {Upload[]} list @returns {{act: "cancel" | "retry", uploads: Upload[]}} */
function forAll(list) {
  const open = list.filter((upload) => !upload.ended && upload.state !== "processing");
  if (open.length > 0) return { act: "cancel", uploads: open };
  const failed = list.filter((upload) => upload.error && canRetry(upload.error));
  return { act: "retry", uploads: failed.length > 0 ? failed : list.filter((upload) => upload.state === "cancelled") };
}

/** How it all ended. @param {Upload[]} list */
function endWords(list) {
  const done = list.filter((upload) => upload.state === "done").length;
  const failed = list.filter((upload) => upload.state === "error").length;
  if (done === 0) return failed ? `${countFiles(failed)} did not arrive.` : "Nothing was sent.";
  const arrived = `${countFiles(done)} ${done === 1 ? "has" : "have"} arrived.`;
  return failed ? `${arrived} ${countFiles(failed)} did not.` : `${arrived} You can close this page.`;
}
