//! What must leave no cluster: taken out of whatever `ovn-vip support` writes.

use serde_json::Value;

/// What stands in its place.
const PLACE: &str = "(redacted)";

/// Parts of a field's name whose value is nobody's business. Names end in a word of these, or have it within.
const PRIVATE: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "privatekey",
    "apikey",
    "authorization",
    "bearer",
];

/// kubectl's copy of what was applied: whatever somebody once wrote, in one string.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object or a row without what is private: values of fields that are named so, keys, certificates and tokens wherever they
/// stand, and kubectl's copy. Names of fields stay.
pub fn json(value: Value) -> Value {
    match value {
        Value::String(words) => Value::String(text(&words)),
        Value::Array(values) => Value::Array(values.into_iter().map(json).collect()),
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| name != LAST_APPLIED && name != "managedFields");
            let cleaned = kept.map(|(name, value)| {
                let value = if is_private(&name) && !value.is_boolean() { PLACE.into() } else { json(value) };
                (name, value)
            });
            Value::Object(cleaned.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// A text without PEM blocks and tokens.
pub fn text(words: &str) -> String {
    let mut kept = String::new();
    let mut rest = words;
    while let Some((before, block)) = rest.split_once("-----BEGIN") {
        kept.push_str(before);
        kept.push_str(PLACE);
        // A block that does not end goes with all that follows.
        let end = block.split_once("-----END").and_then(|(_, after)| after.split_once("-----"));
        rest = end.map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    without_tokens(&kept)
}

fn is_private(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    PRIVATE.iter().any(|word| name.contains(word))
}

/// JSON web tokens: three runs of base64 with dots between, the first of which is a JSON object (`{"` is `eyJ`).
fn without_tokens(words: &str) -> String {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    let mut kept = String::new();
    let mut rest = words;
    while let Some(at) = rest.find("eyJ") {
        let (before, from) = rest.split_at(at);
        let (run, after) = from.split_at(from.find(|c| !is_of_token(c)).unwrap_or(from.len()));
        kept.push_str(before);
        kept.push_str(if run.matches('.').count() >= 2 { PLACE } else { run });
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_named_private_goes_and_its_name_stays() {
        let found = json(
            json!({ "data": { "Token": "abc", "auth-token": ["x"], "tls.crt": "-----BEGIN C-----\nMII\n-----END C-----\n" },
            "automountServiceAccountToken": false, "vip": "10.0.0.9" }),
        );
        let data = json!({ "Token": PLACE, "auth-token": PLACE, "tls.crt": "(redacted)\n" });
        assert_eq!(found, json!({ "data": data, "automountServiceAccountToken": false, "vip": "10.0.0.9" }));
    }

    #[test]
    fn kubectls_copy_goes() {
        let found = json(
            json!({ "metadata": { "managedFields": [1], "annotations": { LAST_APPLIED: "{}", "a": "b" } } }),
        );
        assert_eq!(found, json!({ "metadata": { "annotations": { "a": "b" } } }));
    }

    #[test]
    fn tokens_and_keys_go_wherever_they_stand() {
        assert_eq!(text("range \"eyJhbGciOi.eyJzdWIi.c2ln\" is none"), "range \"(redacted)\" is none");
        assert_eq!(text("eyJust a word"), "eyJust a word");
        assert_eq!(text("a -----BEGIN X----- k -----END X----- b"), "a (redacted) b");
        assert_eq!(text("a -----BEGIN X----- k"), "a (redacted)");
    }
}
