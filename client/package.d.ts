/** The package's types: those made from the module itself, and what it adds to every page. */
import type { DumbwaiterProgress, Reply, Upload, UploadError, UploadRecord } from "./types/dumbwaiter.js";

export * from "./types/dumbwaiter.js";

declare global {
  interface HTMLElementTagNameMap {
    "dumbwaiter-progress": DumbwaiterProgress;
  }

  interface HTMLElementEventMap {
    "dumbwaiter-start": CustomEvent<{ upload: Upload }>;
    "dumbwaiter-done": CustomEvent<{ upload: Upload; record: UploadRecord; answer: Reply | null }>;
    "dumbwaiter-error": CustomEvent<{ upload: Upload; error: UploadError }>;
  }
}
