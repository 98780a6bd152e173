"""Starts it all: packages, memcached, gunicorn with the project, Dumbwaiter in front of them.

What follows the name goes to Dumbwaiter too. With DUMBWAITER_BIN set that program is started, else one is built. Ctrl-C
ends all of it.
"""

import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = Path(os.environ.get("EXAMPLE_VENV", ROOT / "target" / "django-app"))
DATA = Path(os.environ.get("EXAMPLE_DATA", HERE / "data"))
PATIENCE = 60
"""Seconds until a program has to be ready."""

running = []


def main(flags):
    """Starts one after the other, as each needs those before it."""
    subprocess.run(["make", "--silent", "target/django-app", "examples/article/node_modules/.package-lock.json"], cwd=ROOT, check=True)
    subprocess.run(["npm", "run", "--silent", "vendor"], cwd=HERE.parent / "article", check=True)
    for folder in ("uploads", "pictures"):
        (DATA / folder).mkdir(parents=True, exist_ok=True)
    key = DATA / "app.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32) + "\n")
    cache = memcached()
    app = gunicorn(cache)
    front = dumbwaiter(app, cache, key, flags)
    front.wait()


def memcached():
    """Starts a cache on a free port and gives its address."""
    file = DATA / "memcached.port"
    file.unlink(missing_ok=True)
    env = {**os.environ, "MEMCACHED_PORT_FILENAME": str(file)}
    user = ["-u", "root"] if os.getuid() == 0 else []
    start(["memcached", "-l", "127.0.0.1", "-p", "-1", *user], env=env)
    text = wait(lambda: file.exists() and file.read_text())
    port = next(line.split()[-1] for line in text.splitlines() if line.startswith("TCP INET:"))
    return f"127.0.0.1:{port}"


def gunicorn(cache):
    """Makes the tables, starts the project on a free port and gives its address."""
    package = ROOT / "integrations" / "django" / "src"
    env = {**os.environ, "EXAMPLE_DATA": str(DATA), "EXAMPLE_MEMCACHED": cache, "PYTHONPATH": str(package)}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    subprocess.run([VENV / "bin" / "python", "manage.py", "migrate", "--verbosity", "0"], cwd=HERE, env=env, check=True)
    log = DATA / "gunicorn.log"
    log.unlink(missing_ok=True)
    start([VENV / "bin" / "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "--no-control-socket", "--log-file", log, "project.wsgi"], cwd=HERE, env=env)
    mark = "Listening at: "
    text = wait(lambda: log.exists() and mark in (text := log.read_text()) and "Booting worker" in text and text)
    return text.split(mark, 1)[1].split()[0]


def dumbwaiter(app, cache, key, flags):
    """Starts Dumbwaiter in front of the project, and says how."""
    program = os.environ.get("DUMBWAITER_BIN")
    command = [program] if program else ["cargo", "run", "--release", "--"]
    command += ["--dir", DATA / "uploads", "--app", app, "--app-key-file", key]
    command += ["--upload-path", "/upload", "--upload-path", "/dishes/add"]
    command += ["--progress-cache", f"memcached://{cache}", *flags]
    print(shlex.join(map(str, command)), flush=True)
    # It would refuse a variable of this prefix that it does not know.
    env = {name: value for name, value in os.environ.items() if name != "DUMBWAITER_BIN"}
    return start(command, cwd=ROOT, env=env)


def start(command, **options):
    """Starts a program that is ended with this one, and whatever it has started itself."""
    running.append(subprocess.Popen(command, start_new_session=True, **options))
    return running[-1]


def wait(ready):
    """Asks until there is an answer; ends where a program has ended, or takes too long."""
    end = time.monotonic() + PATIENCE
    while not (answer := ready()):
        if any(program.poll() is not None for program in running):
            sys.exit("one of the programs has ended")
        if time.monotonic() > end:
            sys.exit(f"not ready after {PATIENCE} s")
        time.sleep(0.05)
    return answer


def stop(*_):
    """Ends what was started, the last one first."""
    raise SystemExit


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        pass
    finally:
        for program in reversed(running):
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGTERM)
        for program in reversed(running):
            program.wait()
