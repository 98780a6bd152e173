//! A parser's state as bytes, for a checkpoint: version, boundary, what comes next, and a head that has come in part.
//!
//! ```text
//! | 1 | boundary length | boundary … | state | a | b | head … |
//! ```
//!
//! Held-back bytes are the delimiter's own, so their number (`a`, and how many were lent in `b`) says which they are.

use super::{CRLF, Form, MAX_PADDING, PartLimits, State};
use crate::protocol::headers::Boundary;

const VERSION: u8 = 1;

pub(super) fn write(form: &Form) -> Vec<u8> {
    let boundary = form.delimiter.boundary();
    let (tag, a, b) = match form.state {
        State::Preamble { held } => (0, held, 0),
        State::Line { padding } => (1, padding, 0),
        State::Dash => (2, 0, 0),
        State::LineFeed => (3, 0, 0),
        State::Head => (4, 0, 0),
        State::Body { held, lent } => (5, held, lent),
        State::Epilogue => (6, 0, 0),
    };
    let mut out = vec![VERSION, byte(boundary.len())];
    out.extend_from_slice(boundary);
    out.extend_from_slice(&[tag, byte(a), byte(b)]);
    out.extend_from_slice(&form.head);
    out
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("boundaries, and so what is held back, and padding are under 256")
}

pub(super) fn read(saved: &[u8], limits: PartLimits) -> Option<Form> {
    let [VERSION, length, rest @ ..] = saved else {
        return None;
    };
    let (boundary, rest) = rest.split_at_checked(usize::from(*length))?;
    let [tag, a, b, head @ ..] = rest else {
        return None;
    };
    let mut form = Form::new(&Boundary::parse(boundary)?, limits);
    form.state = state(*tag, usize::from(*a), usize::from(*b))?;
    form.head = head.to_vec();
    is_possible(&form).then_some(form)
}

fn state(tag: u8, a: usize, b: usize) -> Option<State> {
    Some(match (tag, a, b) {
        (0, held, 0) => State::Preamble { held },
        (1, padding, 0) => State::Line { padding },
        (2, 0, 0) => State::Dash,
        (3, 0, 0) => State::LineFeed,
        (4, 0, 0) => State::Head,
        (5, held, lent) => State::Body { held, lent },
        (6, 0, 0) => State::Epilogue,
        _ => return None,
    })
}

fn is_possible(form: &Form) -> bool {
    let held_fits = |held| held < form.delimiter.len();
    let head = form.head.len();
    match form.state {
        State::Head => return head < form.limits.head_bytes + super::head::BLANK_LINE.len(),
        State::Preamble { held } if !held_fits(held) => return false,
        State::Line { padding } if padding > MAX_PADDING => return false,
        State::Body { held, lent } => {
            let lent_fits = lent == 0 || (lent == CRLF && held >= CRLF);
            if !held_fits(held) || !lent_fits {
                return false;
            }
        }
        _ => {}
    }
    head == 0
}
