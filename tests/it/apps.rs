//! The apps and the servers around them as `docs/apps.md` shows them: what stands there is what runs here.

use std::path::Path;

/// The one block of the page in a language.
pub(crate) fn block(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/apps.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("\n```").skip(1).step_by(2);
    let found = blocks.find_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    found
        .unwrap_or_else(|| panic!("no {language} there"))
        .to_owned()
}
