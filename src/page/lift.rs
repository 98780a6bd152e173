//! The tab's icon: the page's own drawing of the lift, in ten steps.

/// The lift as the page shows it; its colours are the page's.
pub(super) const DRAWING: &str = include_str!("../../client/lift.svg");

/// One brass for light and dark tabs: 3 to 1 and more on both.
const COLOUR: &str = "#AD762C";

/// How far the dish stands above its lowest floor in each step, in the drawing's units; `client/lift.js` has the same.
const STEPS: [&str; 10] = [
    "0", "1.3", "2.6", "3.8", "5.1", "6.4", "7.7", "8.9", "10.2", "15",
];

/// The icon at `path`: `/lift-0.svg` to `/lift-9.svg`, of which the last has the dome lifted. Whoever asks for
/// `/favicon.ico`, as browsers do for an answer that is no page, gets that one.
pub(super) fn icon(path: &str) -> Option<String> {
    let step = match path {
        "/favicon.ico" => STEPS.len() - 1,
        _ => path
            .strip_prefix("/lift-")?
            .strip_suffix(".svg")
            .filter(|digits| digits.len() == 1)?
            .parse()
            .ok()?,
    };
    let up = STEPS.get(step)?;
    let icon = DRAWING
        .replacen(
            "viewBox=\"0 0 20 28\" width=\"20\"",
            "viewBox=\"-4 0 28 28\" width=\"28\"",
            1,
        )
        .replacen("<svg ", &format!("<svg color=\"{COLOUR}\" "), 1)
        .replacen(
            "class=\"dish\"",
            &format!("transform=\"translate(0 -{up})\""),
            1,
        );
    Some(match step + 1 == STEPS.len() {
        true => icon.replacen("class=\"dome\"", "transform=\"translate(0 -3)\"", 1),
        false => icon,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_icons_rise_and_the_last_one_lifts_its_dome() {
        let icons: Vec<_> = (0..10)
            .map(|step| icon(&format!("/lift-{step}.svg")).unwrap())
            .collect();
        for (step, icon) in icons.iter().enumerate() {
            assert!(
                icon.contains(&format!("translate(0 -{})", STEPS[step])),
                "{icon}"
            );
            assert!(icon.contains("viewBox=\"-4 0 28 28\"") && icon.contains(COLOUR));
            assert_eq!(icon.contains("translate(0 -3)"), step == 9);
        }
        assert_eq!(icon("/favicon.ico").as_ref(), icons.last());
    }

    #[test]
    fn there_is_no_other_icon() {
        for path in [
            "/lift-10.svg",
            "/lift-.svg",
            "/lift-a.svg",
            "/lift-+1.svg",
            "/lift-0.png",
        ] {
            assert_eq!(icon(path), None, "{path}");
        }
    }
}
