//! Every command that the docs show runs, as it is written, and does what it is there for; every other block in them is
//! held to what it shows.
//!
//! ```text
//! README.md, docs/…  ──► shown: commands, flags, blocks ──► table: what each is to do ──► stage: a folder, a server
//! ```
//!
//! A command that the table does not know fails, and so does a row of the table that no page shows any more.

mod blocks;
mod example;
mod may;
mod shown;
mod stage;
mod table;
mod uploads;
mod whole;

use std::collections::BTreeSet;

use shown::{What, pages};
use stage::Stage;
use table::{TABLE, row};

#[test]
fn every_command_in_the_docs_does_what_it_is_there_for() {
    let mut unused: BTreeSet<_> = TABLE.iter().map(|row| row.command).collect();
    let mut run = BTreeSet::new();
    for shown in pages() {
        let What::Command(command) = &shown.what else {
            continue;
        };
        if let Some(example) = shown.example() {
            println!("{shown}");
            example::check(example, command);
            continue;
        }
        let row = row(command).unwrap_or_else(|| panic!("{shown} stands in no row of the table"));
        unused.remove(row.command);
        // The same on several pages is run once.
        if run.insert(command.clone()) {
            println!("{shown}");
            (row.proof)(command);
        }
    }
    assert!(unused.is_empty(), "no page shows {unused:?} any more");
}

/// `--keep-free`, `--name '{form.id}' --on-conflict replace`: what a page says of an option, the option takes.
#[test]
fn every_flag_variable_and_key_in_the_docs_is_one_that_there_is() {
    let tasks = ["", "send", "watch", "ticket"].map(|task| format!("dumbwaiter {task} --help"));
    let help = tasks.map(|help| config_says(&Stage::new(), &help)).concat();
    let mut seen = 0;
    for shown in pages() {
        let stage = Stage::new();
        match &shown.what {
            What::Flags(flag) if !flag.contains([' ', '=']) => {
                let mut words = help.split([' ', '\n', '[']);
                let listed = words.any(|word| word == flag);
                assert!(listed, "{shown} is no option");
            }
            What::Flags(flags) => {
                let flags = flags.replace("CIDR", "10.0.0.0/8");
                let flags = flags.replace("URL", "http://127.0.0.1:8000");
                config_says(&stage, &format!("dumbwaiter config {flags}"));
            }
            What::Variable(variable) => {
                let toml = config_says(&stage, &format!("{variable} dumbwaiter config"));
                assert!(toml.contains("# environment"), "{shown}: {toml}");
            }
            What::Key(line) => {
                stage.write("one.toml", line);
                let toml = config_says(&stage, "dumbwaiter --config one.toml config");
                assert!(toml.contains("# file one.toml"), "{shown}: {toml}");
            }
            What::Command(_) | What::Block { .. } => continue,
        }
        seen += 1;
    }
    assert!(seen > 60, "the pages are read no more: {seen}");
}

#[test]
fn every_block_in_the_docs_is_held_to_what_it_shows() {
    let mut seen = BTreeSet::new();
    for shown in pages() {
        if let What::Block { language, text } = &shown.what {
            blocks::check(&shown, language, text);
            seen.insert(language.clone());
        }
    }
    for language in blocks::LANGUAGES {
        assert!(
            seen.contains(*language),
            "no page has a block in {language}"
        );
    }
}

/// What a command prints that ends by itself and succeeds.
fn config_says(stage: &Stage, command: &str) -> String {
    let output = stage.run(command);
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
