//! How the values of options are written: sizes, times, counts, words and paths.
//!
//! Each function takes a text and gives the value or says what is expected, in words that fit behind a flag, an
//! environment variable and a key of the file alike.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::protocol::headers::Boundary;
use crate::protocol::multipart::PartLimits;
use crate::rights::parse_base;
use crate::server::config::PageChoice;
use crate::server::strict::HeadLimits;

/// Reads `4096`, `10MB` (decimal) or `10MiB` as bytes.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str =
        "a size is expected: bytes, or a whole number with kB, MB, GB, TB, KiB, MiB, GiB or TiB";
    let (number, unit) = split_number(text).ok_or(EXPECTED)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(EXPECTED),
    };
    number
        .checked_mul(unit)
        .ok_or("that is more bytes than there can be")
}

/// As [`size`], for the head of a form's part: the parser holds no more than its own bound whatever is asked for.
pub(super) fn part_head(text: &str) -> Result<u64, &'static str> {
    match size(text)? {
        bytes if bytes <= PartLimits::MAX_HEAD_BYTES as u64 => Ok(bytes),
        _ => Err("a size of at most 15KiB is expected"),
    }
}

/// As [`size`], for a request's head: below the least nothing would get through, above the most hyper has its own word.
pub(super) fn head_size(text: &str) -> Result<u64, &'static str> {
    match size(text)? {
        bytes @ 1024..=HeadLimits::MAX_BYTES => Ok(bytes),
        _ => Err("a size from 1KiB to 64KiB is expected"),
    }
}

/// Reads how many fields a request's head may have.
pub(super) fn head_fields(text: &str) -> Result<usize, &'static str> {
    match count(text) {
        Ok(number) if number <= HeadLimits::MAX_FIELDS => Ok(number),
        _ => Err("a whole number from 1 to 100 is expected"),
    }
}

/// As [`size`]; `none` is no limit.
pub(super) fn size_or_none(text: &str) -> Result<Option<u64>, &'static str> {
    match text {
        "none" => Ok(None),
        text => size(text).map(Some),
    }
}

/// Reads `500ms`, `30s`, `5m`, `1h` or `30d`.
pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a time is expected: a whole number with ms, s, m, h or d";
    let (number, unit) = split_number(text).ok_or(EXPECTED)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(EXPECTED),
    };
    // The clock that timers are set by counts 64 bits of nanoseconds; a century is far within.
    match number.checked_mul(milliseconds) {
        Some(time) if time <= 100 * 365 * 86_400_000 => Ok(Duration::from_millis(time)),
        _ => Err("a time of at most 100 years is expected"),
    }
}

/// As [`time_above_zero`]; `none` is for ever.
pub(super) fn time_or_none(text: &str) -> Result<Option<Duration>, &'static str> {
    match text {
        "none" => Ok(None),
        text => time_above_zero(text).map(Some),
    }
}

/// As [`time`], where none at all would stop the server from working.
pub(super) fn time_above_zero(text: &str) -> Result<Duration, &'static str> {
    match time(text)? {
        Duration::ZERO => Err("a time above zero is expected"),
        time => Ok(time),
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// One HTTP status that is no success, or several: `409`, `400-499`.
pub(super) fn statuses(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|status| digits && (300..600).contains(status))
    };
    match (status(from), status(to)) {
        (Some(from), Some(to)) if from <= to => Ok(from..=to),
        _ => Err("a status from 300 to 599 is expected, or two of them: 409, 400-499"),
    }
}

/// Reads how many there may be of something: at least one.
pub(super) fn count(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on is expected"),
        Ok(number) => Ok(number),
    }
}

/// Reads how long a boundary may be: RFC 2046 allows no more than [`Boundary::MAX_BYTES`].
pub(super) fn boundary(text: &str) -> Result<usize, &'static str> {
    match count(text) {
        Ok(bytes) if bytes <= Boundary::MAX_BYTES => Ok(bytes),
        _ => Err("a whole number from 1 to 70 is expected"),
    }
}

/// As [`count`]; `auto` leaves it to the server.
pub(super) fn count_or_auto(text: &str) -> Result<Option<usize>, &'static str> {
    match text {
        "auto" => Ok(None),
        text => count(text)
            .map(Some)
            .map_err(|_| "auto or a whole number from 1 on is expected"),
    }
}

/// The most threads of one kind that may be asked for.
const MAX_THREADS: usize = 1_024;

/// Reads a number of threads.
pub(super) fn threads(text: &str) -> Result<usize, &'static str> {
    match count(text) {
        Ok(number) if number <= MAX_THREADS => Ok(number),
        _ => Err("a whole number from 1 to 1024 is expected"),
    }
}

/// As [`threads`]; `cpus` is as many as there are CPUs, at least two, so that one slow disk call does not hold all.
pub(super) fn threads_or_cpus(text: &str) -> Result<usize, &'static str> {
    match text {
        "cpus" => Ok(std::thread::available_parallelism().map_or(2, |cpus| cpus.get().max(2))),
        text => threads(text).map_err(|_| "cpus or a whole number from 1 to 1024 is expected"),
    }
}

/// Reads an address with its port; `off` is none.
pub(super) fn address_or_off(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    match text {
        "off" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| "off, or an address and port such as 127.0.0.1:7071 is expected"),
    }
}

/// Reads the path under which all URLs stand, and gives it with a leading slash and without one at the end; the root
/// is empty.
pub(super) fn base(text: &str) -> Result<String, &'static str> {
    parse_base(text).ok_or(
        "a path such as /files is expected, of letters, digits and - . _ ~ between its slashes",
    )
}

/// Reads what stands at `/`; a folder called `on` or `off` is written `./on`.
pub(super) fn page(text: &str) -> Result<PageChoice, &'static str> {
    match text {
        "" => Err("on, off or a folder is expected"),
        "on" => Ok(PageChoice::Ours),
        "off" => Ok(PageChoice::Nothing),
        folder => Ok(PageChoice::Folder(folder.into())),
    }
}

/// A parser of the words in `table`, each with what it means.
pub(super) fn words<T: Clone + Send + Sync + 'static>(
    table: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(word, _)| *word)).map(move |typed| {
        let known = table.iter().find(|(word, _)| *word == typed);
        known.expect("only words of the table get here").1.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_ever_and_boundaries_have_their_own_words() {
        assert_eq!(time_or_none("none"), Ok(None));
        assert_eq!(time_or_none("30d"), time("30d").map(Some));
        assert!(time_or_none("0s").is_err());
        assert_eq!((boundary("1"), boundary("70")), (Ok(1), Ok(70)));
        assert!(boundary("0").is_err() && boundary("71").is_err());
    }

    #[test]
    fn sizes_are_plain_decimal_or_binary() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4_096)),
            ("10MB", Some(10_000_000)),
            ("10 MB", Some(10_000_000)),
            ("10mb", Some(10_000_000)),
            ("10MiB", Some(10_485_760)),
            ("8KiB", Some(8_192)),
            ("2TiB", Some(2 << 40)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("16777216TiB", None),
            ("10M", None),
            ("1.5GB", None),
            ("-1", None),
            ("+1", None),
            ("MB", None),
            ("", None),
            ("٣MB", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text:?}");
        }
        assert_eq!(size_or_none("none"), Ok(None));
        assert_eq!(size_or_none("1kB"), Ok(Some(1_000)));
        assert_eq!(part_head("15KiB"), Ok(PartLimits::MAX_HEAD_BYTES as u64));
        assert_eq!(
            part_head("15361"),
            Err("a size of at most 15KiB is expected")
        );
    }

    #[test]
    fn statuses_are_one_or_a_range_of_those_that_are_no_success() {
        for (text, expected) in [
            ("409", Some(409..=409)),
            ("400-499", Some(400..=499)),
            ("300-599", Some(300..=599)),
            ("200", None),
            ("499-400", None),
            ("400-600", None),
            ("+400", None),
            ("400-", None),
            ("", None),
        ] {
            assert_eq!(statuses(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_name_their_unit() {
        for (text, seconds) in [
            ("0s", Some(0)),
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h", Some(3_600)),
            ("30d", Some(2_592_000)),
            ("2000ms", Some(2)),
            ("30", None),
            ("1w", None),
            ("1.5h", None),
            ("36501d", None),
            ("18446744073709551615h", None),
            ("", None),
        ] {
            assert_eq!(
                time(text).ok(),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
        assert!(time_above_zero("0s").is_err());
        assert!(time_above_zero("1ms").is_ok());
    }

    #[test]
    fn counts_and_threads_have_their_ranges() {
        assert_eq!(count("1000"), Ok(1_000));
        assert!(count("0").is_err() && count("-1").is_err() && count("many").is_err());
        assert_eq!(threads("1024"), Ok(1_024));
        assert!(threads("1025").is_err());
        assert!(threads_or_cpus("cpus").unwrap() >= 2);
        assert_eq!(threads_or_cpus("1"), Ok(1));
    }

    #[test]
    fn a_base_is_normalised_or_refused() {
        for (text, path) in [
            ("/", Some("")),
            ("", Some("")),
            ("up", Some("/up")),
            ("/up", Some("/up")),
            ("/up/", Some("/up")),
            ("/_dumbwaiter/v1.0~x", Some("/_dumbwaiter/v1.0~x")),
            ("//", None),
            ("/up//x", None),
            ("/..", None),
            ("/up/../x", None),
            ("/.", None),
            ("/a b", None),
            ("/a%2Fb", None),
            ("/a?b", None),
            ("/ü", None),
            ("http://host/", None),
        ] {
            assert_eq!(base(text).ok().as_deref(), path, "{text:?}");
        }
    }
}
