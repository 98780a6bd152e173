//! Names near a name that is taken.

use crate::name::SafePath;

/// How many numbers are tried before random suffixes.
const NUMBERED: u32 = 32;
/// How many random suffixes are tried before the upload fails.
const RANDOM: usize = 8;

/// `a/b.jpg`, `a/b-1.jpg`, `a/b-2.jpg` …, then `a/b-1f3a90c2.jpg` with random digits.
pub(super) fn candidates(place: &str) -> impl Iterator<Item = String> {
    let numbered = (1..NUMBERED).map(|n| n.to_string());
    let random = std::iter::repeat_with(random_suffix).take(RANDOM);
    let path = SafePath::from_stored(place);
    let near = numbered.chain(random).filter_map(move |suffix| {
        let near = path.as_ref()?.with_suffix(&format!("-{suffix}"));
        Some(near.to_string())
    });
    std::iter::once(place.to_owned()).chain(near)
}

fn random_suffix() -> String {
    let mut bits = [0; 4];
    getrandom::fill(&mut bits).expect("the kernel's random source answers after boot");
    format!("{:08x}", u32::from_ne_bytes(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_come_to_an_end() {
        let all: Vec<_> = candidates("a.jpg").collect();
        assert_eq!(&all[..3], ["a.jpg", "a-1.jpg", "a-2.jpg"]);
        assert_eq!(all.len(), NUMBERED as usize + RANDOM);
    }
}
