//! The XML answer: `<upload>` with the record's names as elements.
//!
//! ```xml
//! <?xml version="1.0" encoding="UTF-8"?>
//! <upload><id>…</id><state>done</state><length>716595</length><eta></eta>
//!   <fields><field name="id">12</field></fields>
//!   <files><file><field>picture</field><name>paella.jpg</name>…</file></files></upload>
//! ```
//!
//! What is unknown is an empty element. A form's fields keep their names in an attribute, since those may be anything.
//! Characters that XML 1.0 forbids are left out.

use serde_json::Value;

/// The whole document.
pub(super) fn document(record: &Value) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n",
        element(record)
    )
}

/// The `<upload>` element alone, every element with an end tag, so that an HTML parser reads it alike.
pub(super) fn element(record: &Value) -> String {
    let mut out = String::new();
    write(&mut out, "upload", record);
    out
}

fn write(out: &mut String, name: &str, value: &Value) {
    match (name, value) {
        ("fields", Value::Object(fields)) => {
            out.push_str("<fields>");
            fields
                .iter()
                .for_each(|(name, value)| write_field(out, name, value));
            out.push_str("</fields>");
        }
        (_, Value::Object(members)) => {
            wrap(out, name, |out| {
                members
                    .iter()
                    .for_each(|(name, value)| write(out, name, value))
            });
        }
        (_, Value::Array(items)) => {
            let item = name.strip_suffix('s').unwrap_or("item");
            wrap(out, name, |out| {
                items.iter().for_each(|value| write(out, item, value))
            });
        }
        (_, Value::String(text)) => wrap(out, name, |out| out.push_str(&escape(text))),
        (_, Value::Null) => wrap(out, name, |_| {}),
        (_, Value::Bool(_) | Value::Number(_)) => {
            wrap(out, name, |out| out.push_str(&value.to_string()))
        }
    }
}

fn wrap(out: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    out.push_str(&format!("<{name}>"));
    inside(out);
    out.push_str(&format!("</{name}>"));
}

fn write_field(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(values) => values
            .iter()
            .for_each(|value| write_field(out, name, value)),
        _ => {
            let value = value.as_str().unwrap_or_default();
            out.push_str(&format!(
                "<field name=\"{}\">{}</field>",
                escape(name),
                escape(value)
            ));
        }
    }
}

/// Text for an element or attribute of XML or HTML, without what XML 1.0 forbids (its production 2, `Char`).
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push_str(&format!("&#{};", c as u32)),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_document_has_the_records_names_as_elements() {
        let record = json!({
            "state": "done", "length": 7, "eta": null,
            "fields": {"id": "12", "tag": ["a", "<b>"]},
            "files": [{"name": "a&b.jpg"}, {"name": "c\u{1}\u{ffff}.jpg"}],
        });
        assert_eq!(
            element(&record),
            "<upload><state>done</state><length>7</length><eta></eta>\
             <fields><field name=\"id\">12</field><field name=\"tag\">a</field>\
             <field name=\"tag\">&lt;b&gt;</field></fields>\
             <files><file><name>a&amp;b.jpg</name></file><file><name>c.jpg</name></file></files></upload>"
        );
    }
}
