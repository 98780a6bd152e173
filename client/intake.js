/** How files come to the page: chosen, dropped anywhere (folders too), or pasted. */
import { byId } from "./dom.js";
import { countFiles, pastedName } from "./words.js";

/** The most files of dropped folders that are taken at once. */
const MOST_OF_FOLDERS = 1000;
/** How deep folders are looked into. */
const DEEPEST = 16;
/** What systems leave in folders unasked; whoever drops a folder does not mean these. */
const LITTER = [".DS_Store", "Thumbs.db", "desktop.ini"];

/** Takes files in whatever way they come. */
export class Intake {
  #input = byId("file", HTMLInputElement);
  #drop = byId("drop", HTMLDivElement);
  #take;
  #tell;

  /** @param {(files: File[]) => void} take @param {(line: string) => void} tell says why something was not taken */
  constructor(take, tell) {
    this.#take = take;
    this.#tell = tell;
    this.#input.onchange = () => this.#chosen();
    this.#listenForDrops();
    addEventListener("paste", (event) => this.#pasted(event));
    // Chosen before this script ran, or kept by the browser over a reload.
    this.#chosen();
  }

  #chosen() {
    const files = Array.from(this.#input.files ?? []);
    // Emptied, so that choosing the same file again is a change too.
    this.#input.value = "";
    this.#take(files);
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const files = Array.from(event.clipboardData?.files ?? []);
    if (files.length === 0) return;
    event.preventDefault();
    this.#take(files.map(named));
  }

  /** A drop anywhere on the page counts: beside the area the browser would leave the page and open the file. */
  #listenForDrops() {
    const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
    const over = (/** @type {boolean} */ on) => this.#drop.classList.toggle("over", on);
    addEventListener("dragover", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      over(true);
    });
    addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      over(false);
      this.#dropped(Array.from(event.dataTransfer?.items ?? []));
    });
  }

  /** The list of what was dropped is gone after the event, so all of it is asked for at once. @param {DataTransferItem[]} items */
  async #dropped(items) {
    this.#tell("");
    const entries = items.map((item) => item.webkitGetAsEntry());
    const files = items.filter((_, at) => !entries[at]?.isDirectory).map((item) => item.getAsFile());
    this.#take(files.filter((file) => file !== null));
    const folders = /** @type {FileSystemDirectoryEntry[]} */ (entries.filter((entry) => entry?.isDirectory));
    if (folders.length > 0) await this.#takeFolders(folders);
  }

  /** @param {FileSystemDirectoryEntry[]} folders */
  async #takeFolders(folders) {
    /** @type {File[]} */
    const found = [];
    const name = folders.length === 1 ? `“${folders[0]?.name}”` : `${folders.length} folders`;
    try {
      for (const folder of folders) await walk(folder, found, DEEPEST);
    } catch {
      return this.#tell(`${name} cannot be read. Nothing of it was sent.`);
    }
    if (found.length > MOST_OF_FOLDERS)
      return this.#tell(`More than ${countFiles(MOST_OF_FOLDERS)} are in ${name}. Nothing of it was sent; drop a part of it.`);
    if (found.length === 0) return this.#tell(`No file is in ${name}.`);
    this.#take(found);
  }
}

/** Collects a folder's files and those below it, one more than are taken at most. @param {FileSystemDirectoryEntry} folder @param {File[]} found @param {number} deeper */
async function walk(folder, found, deeper) {
  const reader = folder.createReader();
  for (;;) {
    // A hundred at a time, until there are none.
    const entries = await /** @type {Promise<FileSystemEntry[]>} */ (new Promise((resolve, reject) => reader.readEntries(resolve, reject)));
    if (entries.length === 0) return;
    for (const entry of entries) {
      if (found.length > MOST_OF_FOLDERS) return;
      if (entry.isDirectory && deeper > 0) await walk(/** @type {FileSystemDirectoryEntry} */ (entry), found, deeper - 1);
      else if (entry.isFile && !LITTER.includes(entry.name)) found.push(await fileOf(/** @type {FileSystemFileEntry} */ (entry)));
    }
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** A pasted picture has the browser's own name, the same each time; the time says more. @param {File} file */
function named(file) {
  if (!/^(image\.\w+)?$/.test(file.name)) return file;
  const { type, lastModified } = file;
  return new File([file], pastedName(type, new Date(lastModified)), { type, lastModified });
}
