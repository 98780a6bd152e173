//! The system calls of a program, as strace saw them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

/// A system call of a trace: its text, result included, and the lines where it began and ended.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) text: String,
    pub(crate) began: usize,
    pub(crate) ended: usize,
}

/// The command that starts `program` under strace, which writes to `log`; arguments of the program's own may follow.
pub(crate) fn traced(how: &[&str], log: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut strace = Command::new("strace");
    strace.arg("-f").args(how).arg("-o").arg(log).arg(program);
    strace
}

/// strace ends by itself when what it traces does; killed, it would leave that running.
pub(crate) fn stop_traced(strace: u32) {
    kill_process(child_of(strace), Signal::TERM).unwrap();
}

/// The same at once, also where strace keeps the program waiting.
pub(crate) fn kill_traced(strace: u32) {
    let child = child_of(strace);
    let strace = Pid::from_raw(strace.try_into().unwrap()).unwrap();
    kill_process(strace, Signal::KILL).unwrap();
    kill_process(child, Signal::KILL).unwrap();
}

fn child_of(strace: u32) -> Pid {
    let children = format!("/proc/{strace}/task/{strace}/children");
    let child = std::fs::read_to_string(children).unwrap();
    Pid::from_raw(child.trim().parse().unwrap()).unwrap()
}

/// The calls in the order in which they began; joins what strace splits where another thread's call comes in between.
/// One that never ended ends behind the last line.
pub(crate) fn parse(log: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open = HashMap::new();
    for (line, text) in log.lines().enumerate() {
        let Some((pid, text)) = text.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if text.starts_with("<...") {
            if let Some(index) = open.remove(pid) {
                let call: &mut Call = &mut calls[index];
                call.ended = line;
                let (_, rest) = text.split_once("resumed>").unwrap_or_default();
                call.text.push_str(rest);
            }
            continue;
        }
        let unfinished = text.strip_suffix("<unfinished ...>").map(str::trim_end);
        if unfinished.is_some() {
            open.insert(pid.to_owned(), calls.len());
        }
        calls.push(Call {
            text: unfinished.unwrap_or(text).to_owned(),
            began: line,
            ended: unfinished.map_or(line, |_| usize::MAX),
        });
    }
    calls
}

#[test]
fn a_call_that_another_one_interrupts_is_joined_again() {
    let log = "7 fsync(3</a> <unfinished ...>\n8 write(4, \"x\", 1) = 1\n7 <... fsync resumed>) = 0\n9 close(1 <unfinished ...>\n";
    let calls = parse(log);
    let texts: Vec<_> = calls.iter().map(|call| &*call.text).collect();
    assert_eq!(
        texts,
        ["fsync(3</a>) = 0", "write(4, \"x\", 1) = 1", "close(1"]
    );
    let lines: Vec<_> = calls.iter().map(|call| (call.began, call.ended)).collect();
    assert_eq!(lines, [(0, 2), (1, 1), (3, usize::MAX)]);
}
