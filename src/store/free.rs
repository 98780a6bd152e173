//! Names near a name that is taken.

/// How many numbers are tried before random suffixes.
const NUMBERED: u32 = 32;
/// How many random suffixes are tried before the upload fails.
const RANDOM: usize = 8;
/// The longest name of a file, in bytes (Linux `NAME_MAX`).
const NAME_MAX: usize = 255;

/// `a/b.jpg`, `a/b-1.jpg`, `a/b-2.jpg` …, then `a/b-1f3a90c2.jpg` with random digits.
pub(super) fn candidates(place: &str) -> impl Iterator<Item = String> {
    let numbered = (1..NUMBERED).map(|n| n.to_string());
    let random = std::iter::repeat_with(random_suffix).take(RANDOM);
    std::iter::once(place.to_owned()).chain(
        numbered
            .chain(random)
            .map(|suffix| with_suffix(place, &suffix)),
    )
}

fn random_suffix() -> String {
    let mut bits = [0; 4];
    getrandom::fill(&mut bits).expect("the kernel's random source answers after boot");
    format!("{:08x}", u32::from_ne_bytes(bits))
}

fn with_suffix(place: &str, suffix: &str) -> String {
    let (folder, name) = place.split_at(place.rfind('/').map_or(0, |slash| slash + 1));
    // A name that begins with its only dot has no extension.
    let dot = name.rfind('.').filter(|&at| at > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let room = NAME_MAX.saturating_sub(suffix.len() + 1 + extension.len());
    let end = (0..=room.min(stem.len())).rfind(|&at| stem.is_char_boundary(at));
    let stem = &stem[..end.unwrap_or(0)];
    format!("{folder}{stem}-{suffix}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_goes_before_the_extension_of_the_last_component() {
        for (place, expected) in [
            ("paella.jpg", "paella-1.jpg"),
            ("2026.10/paella", "2026.10/paella-1"),
            ("a/.hidden", "a/.hidden-1"),
            ("a.tar.gz", "a.tar-1.gz"),
            ("料理", "料理-1"),
        ] {
            assert_eq!(with_suffix(place, "1"), expected);
        }
    }

    #[test]
    fn a_suffix_never_makes_a_name_too_long_or_cuts_a_character() {
        let name = with_suffix(&format!("d/{}.jpg", "é".repeat(125)), "12345678");
        assert!(name.len() - 2 <= NAME_MAX, "{}", name.len());
        assert!(name.ends_with("é-12345678.jpg"));
    }

    #[test]
    fn candidates_come_to_an_end() {
        let all: Vec<_> = candidates("a.jpg").collect();
        assert_eq!(&all[..3], ["a.jpg", "a-1.jpg", "a-2.jpg"]);
        assert_eq!(all.len(), NUMBERED as usize + RANDOM);
    }
}
