//! How the binary takes its options, seen from a shell: exit codes, what goes to which output.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use crate::support::ended::ended;

/// The binary without what the tests themselves are told by the environment.
fn dumbwaiter() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumbwaiter"));
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("DUMBWAITER_"))
        {
            command.env_remove(name);
        }
    }
    command
}

fn texts(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_goes_to_standard_output_and_succeeds() {
    let output = ended(dumbwaiter().arg("--help"));
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    assert!(out.contains("--on-conflict"), "{out}");
    assert_eq!(err, "");
}

#[test]
fn what_cannot_be_used_is_said_on_standard_error_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dumbwaiter.toml");
    std::fs::write(&file, "on_conflict = \"rename\"\n").unwrap();
    let uploads = folder.path().join("uploads");
    let file = file.to_str().unwrap();
    for (args, env, words) in [
        (
            ["--max-fields", "many"],
            None,
            "'--max-fields <N>': a whole number",
        ),
        (
            ["--lisen", "127.0.0.1:0"],
            None,
            "a similar argument exists: '--listen'",
        ),
        (["--name", "{digest}"], None, "--digest sha256"),
        (
            ["--config", file],
            None,
            "dumbwaiter.toml: unknown key on_conflict",
        ),
        (
            ["--listen", "127.0.0.1:0"],
            Some("DUMBWAITER_LISTN"),
            "DUMBWAITER_LISTEN",
        ),
    ] {
        let mut command = dumbwaiter();
        command
            .args(args)
            .arg("--dir")
            .arg(&uploads)
            .envs(env.map(|name| (name, "1")));
        let output = ended(&mut command);
        let (out, err) = texts(&output);
        assert!(!output.status.success(), "{args:?}");
        assert!(err.contains(words), "{words:?} is not in: {err}");
        assert_eq!(
            (out, err.contains("dumbwaiter: error:")),
            ("", false),
            "{err}"
        );
        assert!(!uploads.exists(), "{args:?}");
    }
}

#[test]
fn file_and_environment_start_a_server_as_flags_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dumbwaiter.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:0\"\nbase = \"up\"\ndir = \"/nowhere\"\n",
    )
    .unwrap();
    let uploads = folder.path().join("by environment");
    let mut server = dumbwaiter()
        .env("DUMBWAITER_CONFIG", &file)
        .env("DUMBWAITER_DIR", &uploads)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let (_, url) = line.trim_end().split_once("http://127.0.0.1:").unwrap();
    assert!(url.ends_with("/up/"), "{line}");
    assert!(uploads.is_dir());
}

/// The TOML that `config` prints.
fn shown(command: &mut Command) -> String {
    let output = ended(command);
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{err}");
    out.to_owned()
}

#[test]
fn config_prints_what_is_in_force_and_from_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.toml");
    std::fs::write(
        &file,
        "max-files = 3\nmax-fields = 4\nname = \"{stem}-{id}\"\nallow-type = [\"image/*\", \"text/plain\"]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let told = |args: &[&str]| {
        let mut command = dumbwaiter();
        command.env("DUMBWAITER_MAX_FIELDS", "5").args(args);
        shown(&mut command)
    };
    let before = told(&["config", "--config", file, "--max-part-head", "4KiB"]);
    assert_eq!(
        before,
        told(&["--config", file, "--max-part-head", "4KiB", "config"])
    );
    for line in [
        format!("max-files = 3  # file {file}"),
        "max-fields = 5  # environment".to_owned(),
        "max-part-head = \"4KiB\"  # flag".to_owned(),
        "max-field-bytes = \"1MiB\"  # default".to_owned(),
        format!("name = \"{{stem}}-{{id}}\"  # file {file}"),
        format!("allow-type = [\"image/*\", \"text/plain\"]  # file {file}"),
        "# admin-token-file is not set".to_owned(),
        format!("# config = \"{file}\"  # flag"),
        "# Operation".to_owned(),
    ] {
        assert!(
            before.lines().any(|shown| shown == line),
            "{line}\n{before}"
        );
    }
}

#[test]
fn what_config_prints_says_the_same_when_it_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let odd = "a \"quoted\"\\back slash\u{e9}";
    let first = shown(dumbwaiter().args([
        "config",
        "--dir",
        odd,
        "--allow-type",
        "image/*",
        "--admin-listen",
        "[::1]:0",
        "--max-file-size",
        "007",
    ]));
    let file = folder.path().join("printed.toml");
    std::fs::write(&file, &first).unwrap();
    let again = shown(dumbwaiter().arg("config").arg("--config").arg(&file));
    let values = |text: &str| -> toml::Table { text.parse().unwrap() };
    assert_eq!(values(&first), values(&again));
    assert_eq!(values(&again)["dir"].as_str(), Some(odd));
    let from_file = format!("# file {}", file.display());
    let lines = again.lines().filter(|line| line.contains(" = "));
    // An empty list says what the default says, wherever it stands.
    for line in lines.filter(|line| !line.starts_with('#') && !line.contains(" = []")) {
        assert!(line.ends_with(&from_file), "{line}");
    }
}

#[test]
fn config_shows_where_a_secret_is_and_never_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "a-secret-of-the-operator").unwrap();
    let file = file.to_str().unwrap();
    let text = shown(dumbwaiter().args(["config", "--admin-token-file", file]));
    assert!(
        text.contains(&format!("admin-token-file = \"{file}\"  # flag")),
        "{text}"
    );
    assert!(!text.contains("a-secret"), "{text}");
}

#[test]
fn completions_and_man_page_know_every_option() {
    let help = shown(dumbwaiter().arg("--help"));
    let options: Vec<_> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .filter(|word| {
            word[2..]
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c == b'-')
        })
        .collect();
    assert!(options.len() > 30, "{options:?}");
    let man = shown(dumbwaiter().arg("man"));
    assert!(man.contains(".TH dumbwaiter 1"), "{man}");
    let man = man.replace("\\-", "-");
    let scripts =
        ["bash", "zsh", "fish"].map(|shell| shown(dumbwaiter().args(["completions", shell])));
    for option in options {
        assert!(man.contains(option), "man: {option}");
        let [bash, zsh, fish] = &scripts;
        assert!(bash.contains(option) && zsh.contains(option), "{option}");
        assert!(
            fish.contains(&format!("-l {}", &option[2..])),
            "fish: {option}"
        );
    }
}

#[test]
fn the_shell_takes_its_completions() {
    if !crate::support::needs::needs("bash") {
        return;
    }
    let script = shown(dumbwaiter().args(["completions", "bash"]));
    let ask = format!(
        "{script}\nCOMP_WORDS=(dumbwaiter --max-fie); COMP_CWORD=1; _dumbwaiter dumbwaiter --max-fie dumbwaiter; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(
        out, "--max-fields\n--max-field-size\n--max-field-bytes\n",
        "{err}"
    );
}

#[test]
fn help_stands_in_groups_with_defaults_and_units() {
    let help = shown(dumbwaiter().arg("--help"));
    for heading in [
        "Serving:",
        "Files:",
        "Progress:",
        "Forms:",
        "Uploads that can be resumed:",
        "Connections:",
        "Operation:",
    ] {
        assert!(help.lines().any(|line| line == heading), "{heading}");
    }
    let line = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        line.contains(
            "--shutdown-grace <TIME> How long running uploads then have to finish [default: 30s]"
        ),
        "{line}"
    );
    assert!(
        line.contains("Sizes: 4096, 10MB, 10MiB. Times: 500ms"),
        "{line}"
    );
}
