//! Counts of bytes as a person reads them, in decimal units with two or three digits: `812 bytes`, `8.1 MB`, `412 MB`.
//!
//! A size is rounded; a limit is cut off, so that it never promises more than is taken. `client/words.js` says both in
//! the same words, and `sizes.txt` has the cases that both are tested with.

const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];

/// A file's size, rounded.
pub(crate) fn size_in_words(bytes: u64) -> String {
    in_words(bytes, |unit| unit / 2)
}

/// A limit, cut off.
pub(crate) fn limit_in_words(bytes: u64) -> String {
    in_words(bytes, |_| 0)
}

/// `more` is what is added to the count before it is cut off at a unit.
fn in_words(bytes: u64, more: fn(u128) -> u128) -> String {
    let count = u128::from(bytes);
    match count {
        1 => return "1 byte".to_owned(),
        0..1_000 => return format!("{count} bytes"),
        _ => {}
    }
    let (mut unit, mut names) = (1_000, UNITS.as_slice());
    // 999.6 kB would round to 1000 kB.
    while let [_, rest @ ..] = names
        && !rest.is_empty()
        && (count + more(unit)) / unit >= 1_000
    {
        (unit, names) = (unit * 1_000, rest);
    }
    let name = names.first().copied().unwrap_or_default();
    match (count + more(unit / 10)) / (unit / 10) {
        tenths @ 0..100 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", (count + more(unit)) / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_and_limits_cut_off_as_the_page_does_it() {
        let cases = include_str!("sizes.txt").lines().skip(1);
        let cases: Vec<Vec<_>> = cases.map(|line| line.split('|').collect()).collect();
        assert!(cases.len() >= 20);
        for case in &cases {
            let bytes = case[0].parse().unwrap();
            assert_eq!([size_in_words(bytes), limit_in_words(bytes)], case[1..]);
        }
        assert_eq!(limit_in_words(u64::MAX), "18446744 TB");
    }
}
