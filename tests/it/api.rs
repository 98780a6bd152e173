//! What the library shows: its public API names only the crates that it promises, and the package holds what it needs.
//!
//! rustdoc writes the API as JSON; its walk begins at the crate's root and leaves out what is hidden, which is for our own
//! tests, benches and fuzz targets alone.

use std::collections::{BTreeSet, HashSet};
use std::process::Command;

use serde_json::Value;

use crate::support::needs::has_time;

/// The crates whose types may stand in the API.
const NAMED: [&str; 8] = [
    "alloc",
    "bytes",
    "core",
    "dumbwaiter",
    "http",
    "http_body",
    "std",
    "tower_service",
];

/// Types that implement `serde`'s traits: a store of one's own has to write them down.
const WRITTEN_DOWN: [&str; 14] = [
    "Checkpoint",
    "Concat",
    "FileFacts",
    "FileHead",
    "FilePoint",
    "FormPoint",
    "Opened",
    "Owner",
    "OwnerKey",
    "ProgressId",
    "Protocol",
    "Remembered",
    "Terms",
    "UploadId",
];

#[test]
fn the_public_api_names_only_the_crates_that_it_promises() {
    if !has_time() {
        return;
    }
    for features in ["--no-default-features", "--all-features"] {
        let api = Api::of(features);
        let strange = api.strange();
        assert!(strange.is_empty(), "{features}: {strange:#?}");
        for name in [
            "Dumbwaiter",
            "Service",
            "Arrival",
            "Rejection",
            "Disk",
            "conformance",
        ] {
            assert!(api.names.contains(name), "{features}: {name} was not seen");
        }
        assert_eq!(api.names.contains("Serve"), features == "--all-features");
        assert!(!api.names.contains("Tracker"), "{features}: it is hidden");
    }
}

/// The public items as rustdoc knows them.
struct Api {
    doc: Value,
    seen: HashSet<u64>,
    names: BTreeSet<String>,
}

impl Api {
    fn of(features: &str) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        // A folder of its own: the flag that lets stable rustdoc write JSON would build everything anew in ours.
        let target = format!("{root}/target/api");
        let made = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
            .current_dir(root)
            .args([
                "rustdoc",
                "--quiet",
                "--lib",
                features,
                "--target-dir",
                &target,
                "--",
            ])
            .args([
                "-Zunstable-options",
                "--output-format",
                "json",
                "--document-hidden-items",
            ])
            .env("RUSTC_BOOTSTRAP", "1")
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let json = std::fs::read(format!("{target}/doc/dumbwaiter.json")).unwrap();
        let doc: Value = serde_json::from_slice(&json).unwrap();
        let root = doc["root"].as_u64().unwrap();
        let mut api = Self {
            doc,
            seen: HashSet::new(),
            names: BTreeSet::new(),
        };
        api.see(root);
        assert!(
            api.seen.len() > 300,
            "the walk ended after {} items",
            api.seen.len()
        );
        api
    }

    fn item(&self, id: u64) -> &Value {
        &self.doc["index"][id.to_string()]
    }

    /// Walks to all that is below an item, unless that is hidden.
    fn see(&mut self, id: u64) {
        let item = self.item(id).clone();
        let hidden = item["attrs"].to_string().contains("doc(hidden)");
        let (kind, inner) = inner(&item);
        let left_out = hidden || is_generated(kind, inner) || is_written_down(inner);
        if left_out || item["crate_id"] != 0 || !self.seen.insert(id) {
            return;
        }
        self.names.extend(item["name"].as_str().map(str::to_owned));
        if kind == "use" {
            inner["id"].as_u64().into_iter().for_each(|id| self.see(id));
        }
        for below in ["items", "variants", "impls"] {
            for id in numbers(&inner[below]) {
                self.see(id);
            }
        }
        for id in fields(&inner["kind"]) {
            self.see(id);
        }
    }

    /// What the items name that the API may not.
    fn strange(&self) -> Vec<String> {
        let mut strange = Vec::new();
        for id in &self.seen {
            let item = self.item(*id);
            let (kind, inner) = inner(item);
            if kind == "module" || self.is_none_of_ours(inner) {
                continue;
            }
            let named = match kind {
                "use" => self.of_others(inner),
                _ => named(inner),
            };
            for (named, path) in named {
                if let Some(why) = self.why_not(named) {
                    let place = &item["span"]["filename"];
                    strange.push(format!(
                        "{kind} {} names {path}, {why}: {place}",
                        item["name"]
                    ));
                }
            }
        }
        strange
    }

    fn why_not(&self, named: u64) -> Option<String> {
        let entry = &self.doc["paths"][named.to_string()];
        match entry["crate_id"].as_u64() {
            // An associated type or a parameter has no entry.
            None if self.item(named).is_null() => None,
            None | Some(0) if self.seen.contains(&named) => None,
            None | Some(0) => Some("which is hidden".to_owned()),
            Some(number) => {
                let name = &self.doc["external_crates"][number.to_string()]["name"];
                let name = name.as_str().unwrap();
                (!NAMED.contains(&name)).then(|| format!("of the crate {name}"))
            }
        }
    }

    /// What `pub use` shows of another crate's; what is ours and hidden stays so.
    fn of_others(&self, inner: &Value) -> Vec<(u64, String)> {
        let named = inner["id"].as_u64().zip(inner["source"].as_str());
        let others = named.filter(|(id, _)| self.item(*id)["crate_id"] != 0);
        let others = others.map(|(id, path)| (id, path.to_owned()));
        others.into_iter().collect()
    }

    /// An impl for a hidden type stands with the type that its trait names, too.
    fn is_none_of_ours(&self, inner: &Value) -> bool {
        let id = inner["for"]["resolved_path"]["id"].as_u64();
        id.is_some_and(|id| self.item(id)["crate_id"] == 0 && !self.seen.contains(&id))
    }
}

/// What the compiler and the standard library add to every type.
fn is_generated(kind: &str, inner: &Value) -> bool {
    kind == "impl" && (inner["is_synthetic"] == true || !inner["blanket_impl"].is_null())
}

/// Whether an impl is one of those of `serde`'s traits that are meant.
fn is_written_down(inner: &Value) -> bool {
    let of = inner["for"]["resolved_path"]["path"].as_str();
    let named = inner["trait"]["path"].as_str().unwrap_or_default();
    let serde = named.ends_with("Serialize") || named.ends_with("Deserialize");
    serde && of.is_some_and(|of| WRITTEN_DOWN.contains(&of))
}

fn inner(item: &Value) -> (&str, &Value) {
    let entry = item["inner"]
        .as_object()
        .and_then(|inner| inner.iter().next());
    entry.map_or(("", &Value::Null), |(kind, inner)| (kind.as_str(), inner))
}

fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_u64).collect()
}

/// The fields of a struct or variant: `{"plain": {"fields": […]}}`, `{"tuple": […]}`.
fn fields(kind: &Value) -> Vec<u64> {
    let plain = numbers(&kind["plain"]["fields"]);
    let of_variant = numbers(&kind["struct"]["fields"]);
    [plain, of_variant, numbers(&kind["tuple"])].concat()
}

/// Every path in a type, a signature or a bound.
fn named(value: &Value) -> Vec<(u64, String)> {
    match value {
        Value::Object(map) => {
            let path = map.get("path").and_then(Value::as_str);
            let id = map.get("id").and_then(Value::as_u64);
            let own = id.zip(path).filter(|_| map.contains_key("args"));
            let own = own.map(|(id, path)| (id, path.to_owned()));
            own.into_iter()
                .chain(map.values().flat_map(named))
                .collect()
        }
        Value::Array(list) => list.iter().flat_map(named).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_package_holds_what_it_builds_from_and_nothing_else() {
    let listed = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: BTreeSet<_> = listed.lines().collect();
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "src/lib.rs",
        "src/main.rs",
        "client/page.html",
        "docs/library.md",
        "docs/errors.md",
        "examples/axum_receive.rs",
    ] {
        assert!(files.contains(needed), "{needed} is missing");
    }
    let wanted = [
        ("src/", ".rs"),
        ("src/", ".txt"),
        ("client/", ".css"),
        ("client/", ".html"),
        ("client/", ".js"),
        ("client/", ".svg"),
        ("docs/", ".md"),
        ("examples/", ".rs"),
        ("", ".md"),
        ("Cargo.", ""),
        ("LICENSE-", ""),
        (".cargo_vcs_info.json", ""),
    ];
    for file in files {
        let depth = file.matches('/').count();
        let is_wanted = |(begin, end): &(&str, &str)| {
            let below = *begin == "src/" || depth == begin.matches('/').count();
            below && file.starts_with(begin) && file.ends_with(end)
        };
        assert!(wanted.iter().any(is_wanted), "{file}");
        let script = file
            .strip_prefix("client/")
            .and_then(|file| file.strip_suffix(".js"));
        if let Some(script) = script {
            let serves = include_str!("../../src/page.rs").contains(&format!("(\"{script}\")"));
            assert!(serves, "{file}: the page does not load it");
        }
    }
}
