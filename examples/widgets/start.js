/**
 * Starts it all: packages, pages, server. What follows `npm start --` goes to the server too. With DUMBWAITER_BIN set that
 * program is started, else one is built.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));

if (!existsSync(`${here}node_modules/.package-lock.json`)) {
  const { status } = spawnSync("npm", ["ci"], { cwd: here, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
await import("./vendor.js");

const { DUMBWAITER_BIN: built, ...env } = process.env;
const program = built ? [built] : ["cargo", "run", "--release", "--"];
const flags = ["--page", "examples/widgets/page", ...process.argv.slice(2)];
const quoted = [...program, ...flags].map((word) => (/^[\w./:-]+$/.test(word) ? word : `'${word}'`));
console.log(`in ${root}: ${quoted.join(" ")}`);

const [command, ...before] = program;
const server = spawn(command, [...before, ...flags], { cwd: root, env, stdio: "inherit" });
// Ctrl-C reaches the server by itself, which then lets uploads finish; it is waited for.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => server.kill("SIGTERM"));
server.on("error", (error) => console.error(`${command}: ${error.message}`));
server.on("close", (code) => process.exit(code ?? 1));
