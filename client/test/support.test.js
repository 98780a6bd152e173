/** The tests' own servers: none outlives the run that started it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { until } from "./support.js";

/** A run that starts a server, names it, and would go on for ever. */
const RUN = `import { serve } from ${JSON.stringify(new URL("support.js", import.meta.url))};
const server = await serve({ after() {} });
console.log(JSON.stringify([server.pid, server.dir]));
setInterval(() => {}, 1000);`;

function runs(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  test(`a server of a run that ${signal} ends is ended with it`, async (t) => {
    const run = spawn(process.execPath, ["--input-type=module", "--eval", RUN], { stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => run.kill("SIGKILL"));
    const [line] = await once(createInterface({ input: run.stdout }), "line");
    const [pid, dir] = JSON.parse(line);
    t.after(() => {
      if (runs(pid)) process.kill(pid, "SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    });
    assert.ok(runs(pid));
    run.kill(signal);
    await once(run, "exit");
    await until(() => runs(pid), (running) => !running);
  });
}
