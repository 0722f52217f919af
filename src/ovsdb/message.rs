//! JSON-RPC 1.0 as OVSDB uses it (RFC 7047 §4).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::{ProtocolError, shorten};

/// One message of the peer. What it carries stays text until it is known what it is: a dump is large.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// The peer asks, and waits for a reply under this id.
    Request {
        /// What the reply must carry.
        id: Value,
        /// What is asked.
        method: String,
        /// With what.
        params: &'a RawValue,
    },
    /// The peer tells.
    Notification {
        /// What.
        method: String,
        /// With what.
        params: &'a RawValue,
    },
    /// The peer answers one of ours.
    Reply {
        /// The id of ours.
        id: Value,
        /// The result, or the error.
        result: Result<&'a RawValue, Value>,
    },
}

/// As on the wire. The server leaves `result` out of a failed reply, so every member may be missing.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(default)]
    id: Value,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Value,
}

impl<'a> Message<'a> {
    /// Reads one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ProtocolError> {
        let raw: Raw<'a> = serde_json::from_slice(bytes).map_err(|error| ProtocolError::Unexpected {
            what: "a JSON-RPC message",
            found: format!("{} ({error})", shorten(&String::from_utf8_lossy(bytes))),
        })?;
        let Raw { id, method, params, result, error } = raw;
        let params = params.unwrap_or(RawValue::NULL);
        Ok(match (method, id.is_null(), error.is_null()) {
            (Some(method), false, _) => Self::Request { id, method, params },
            (Some(method), true, _) => Self::Notification { method, params },
            (None, _, true) => Self::Reply { id, result: Ok(result.unwrap_or(RawValue::NULL)) },
            (None, _, false) => Self::Reply { id, result: Err(error) },
        })
    }
}

/// A part of a message as the type it must be.
pub fn read<'a, T: Deserialize<'a>>(what: &'static str, raw: &'a RawValue) -> Result<T, ProtocolError> {
    T::deserialize(raw).map_err(|error| ProtocolError::Unexpected {
        what,
        found: format!("{} ({error})", shorten(raw.get())),
    })
}

/// A request of ours, as on the wire.
#[derive(Serialize)]
struct Request<'a, P> {
    id: u64,
    method: &'a str,
    params: &'a P,
}

/// A request of ours. Nothing of OVSDB's has a key that is no text, and writing to memory cannot fail otherwise.
pub fn request(id: u64, method: &str, params: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&Request { id, method, params }).unwrap_or_default()
}

/// Our answer to a request of the peer.
pub fn reply(id: &Value, result: &Value) -> Vec<u8> {
    json!({"id": id, "result": result, "error": null}).to_string().into_bytes()
}

/// Our refusal of a request of the peer that we do not know.
pub fn unknown_method(id: &Value) -> Vec<u8> {
    json!({"id": id, "result": null, "error": "unknown method"}).to_string().into_bytes()
}

/// The text of an RPC error: a bare string, or an object with `error` and perhaps `details`.
pub fn error_text(error: &Value) -> String {
    let part = |key| error.get(key).and_then(Value::as_str);
    match (error.as_str(), part("error"), part("details")) {
        (Some(text), _, _) => text.to_owned(),
        (None, Some(error), Some(details)) => format!("{error}: {details}"),
        (None, Some(error), None) => error.to_owned(),
        (None, None, _) => shorten(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_notifications_and_replies_are_told_apart() {
        let parse = |text: &'static str| Message::parse(text.as_bytes()).unwrap();
        let request = parse(r#"{"id":"echo","method":"echo","params":[]}"#);
        assert!(matches!(&request, Message::Request { id, method, params }
            if id == "echo" && method == "echo" && params.get() == "[]"));
        let notification = parse(r#"{"id":null,"method":"update","params":[1]}"#);
        assert!(matches!(&notification, Message::Notification { method, params }
            if method == "update" && params.get() == "[1]"));
        let reply = parse(r#"{"result":{},"id":3,"error":null}"#);
        assert!(
            matches!(&reply, Message::Reply { id, result: Ok(result) } if *id == 3 && result.get() == "{}")
        );
        assert!(
            matches!(parse(r#"{"id":3}"#), Message::Reply { result: Ok(result), .. } if result.get() == "null")
        );
    }

    #[test]
    fn a_failed_reply_needs_no_result() {
        let message = Message::parse(br#"{"id":318,"error":{"error":"unknown database"}}"#).unwrap();
        let Message::Reply { result: Err(error), .. } = message else { panic!("{message:?}") };
        assert_eq!(error_text(&error), "unknown database");
    }

    #[test]
    fn a_part_of_another_type_is_quoted() {
        let raw = RawValue::from_string("[1,2]".into()).unwrap();
        assert_eq!(read::<(u8, u8)>("two numbers", &raw).unwrap(), (1, 2));
        let error = read::<String>("a name", &raw).unwrap_err().to_string();
        assert!(error.contains("expected a name, found [1,2]"), "{error}");
    }

    #[test]
    fn error_text_takes_every_form_servers_use() {
        assert_eq!(error_text(&json!("canceled")), "canceled");
        assert_eq!(error_text(&json!({"error": "syntax", "details": "no"})), "syntax: no");
        assert_eq!(error_text(&json!([1])), "[1]");
    }

    #[test]
    fn a_broken_message_is_quoted() {
        let error = Message::parse(b"{\"id\":]}").unwrap_err().to_string();
        assert!(error.contains("{\"id\":]}"), "{error}");
    }
}
