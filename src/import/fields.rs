//! The fields of one object of a configuration: each is asked for by name, and what nobody asked for is a finding.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::plan::{Finding, Severity};

/// What is said of fields that no object has.
pub(super) const LEFT_OUT: [&str; 4] = ["NoCounterpart", "ControlPlaneVip", "IngressVip", "NotBroughtOver"];

/// Where findings go.
#[derive(Debug, Default)]
pub(super) struct Findings(RefCell<Vec<Finding>>);

impl Findings {
    /// Adds one. `object` and `field` say where; `cure` what to do.
    pub fn add(
        &self,
        severity: Severity,
        reason: &'static str,
        (object, field): (&str, &str),
        message: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.0.borrow_mut().push(Finding {
            severity,
            object: object.to_owned(),
            field: field.to_owned(),
            reason,
            message: message.into(),
            cure: cure.into(),
        });
    }

    /// All of them, the worst first, as they came otherwise.
    pub fn finish(self) -> Vec<Finding> {
        let mut findings = self.0.into_inner();
        findings.sort_by_key(|finding| finding.severity);
        findings
    }
}

/// The fields of one mapping.
pub(super) struct Fields<'v> {
    /// The object that findings are about, such as `ConfigMap metallb-system/config`.
    object: &'v str,
    /// The mapping's own path in it; empty at the top.
    path: String,
    map: Option<&'v Map<String, Value>>,
    asked: RefCell<BTreeSet<&'static str>>,
    findings: &'v Findings,
}

impl<'v> Fields<'v> {
    /// The fields of a value; one that is no mapping is a finding, and has none.
    pub fn of(object: &'v str, path: String, value: &'v Value, findings: &'v Findings) -> Self {
        let map = value.as_object();
        let fields = Self { object, path, map, asked: RefCell::default(), findings };
        if map.is_none() && !value.is_null() {
            fields.wrong("", "is no mapping", "write its fields as NAME: VALUE");
        }
        fields
    }

    /// The path of a field.
    pub fn path(&self, name: &str) -> String {
        match (self.path.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => self.path.clone(),
            (false, false) => format!("{}.{name}", self.path),
        }
    }

    /// A field as it stands; null counts as absent.
    pub fn value(&self, name: &'static str) -> Option<&'v Value> {
        self.asked.borrow_mut().insert(name);
        self.map.and_then(|map| map.get(name)).filter(|value| !value.is_null())
    }

    /// A string; numbers and booleans that were written without quotes count as such.
    pub fn text(&self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        let text = scalar(value);
        if text.is_none() {
            self.wrong(name, "is no string", "write one value");
        }
        text
    }

    /// A string that has to be there.
    pub fn required(&self, name: &'static str) -> Option<String> {
        let text = self.text(name).filter(|text| !text.is_empty());
        if text.is_none() && self.value(name).is_none_or(|value| scalar(value).is_some()) {
            self.wrong(name, "is missing", "write it");
        }
        text
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        if !value.is_boolean() {
            self.wrong(name, &format!("is {value}"), "write true or false");
        }
        value.as_bool()
    }

    /// A whole number between two others, both included.
    pub fn number(&self, name: &'static str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_u64().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(name, &format!("is {value}"), &format!("write a number from {least} to {most}"));
        }
        number
    }

    /// A list; another value is a finding and an empty list.
    pub fn list(&self, name: &'static str) -> &'v [Value] {
        match self.value(name) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.wrong(name, "is no list", "write a list: a line '- …' for each");
                &[]
            }
        }
    }

    /// A list of strings.
    pub fn texts(&self, name: &'static str) -> Vec<String> {
        let items = self.list(name).iter().enumerate();
        let texts = items.filter_map(|(index, item)| {
            let text = scalar(item);
            if text.is_none() {
                self.wrong(&format!("{name}[{index}]"), "is no string", "write one value");
            }
            text
        });
        texts.collect()
    }

    /// The fields of a mapping in this one; those of an absent one are all absent.
    pub fn inner(&self, name: &'static str) -> Fields<'v> {
        let value = self.value(name).unwrap_or(&Value::Null);
        Fields::of(self.object, self.path(name), value, self.findings)
    }

    /// The mappings of a list in this one.
    pub fn inner_list(&self, name: &'static str) -> Vec<Fields<'v>> {
        let items = self.list(name).iter().enumerate();
        let of = |(index, item)| {
            let path = self.path(&format!("{name}[{index}]"));
            Fields::of(self.object, path, item, self.findings)
        };
        items.map(of).collect()
    }

    /// Says that a field is wrong.
    pub fn wrong(&self, name: &str, what: &str, cure: &str) {
        self.say(Severity::Error, "BadField", name, what, cure);
    }

    /// Says something about a field.
    pub fn say(&self, severity: Severity, reason: &'static str, name: &str, what: &str, cure: &str) {
        let path = self.path(name);
        self.findings.add(severity, reason, (self.object, &path), what, cure);
    }

    /// Says of each field that nobody asked for that it has no counterpart.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        let unknown = self.map.into_iter().flatten().filter(|(name, _)| !asked.contains(name.as_str()));
        for (name, _) in unknown {
            let cure = "nothing was made of it: see whether it is needed, and whether its name is right";
            self.say(Severity::Warning, "NoCounterpart", name, "has no counterpart", cure);
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
