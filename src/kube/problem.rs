//! What could not be understood in an object.

use std::fmt;

/// A field that could not be understood; a value, so that it is said once and by whoever has the means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Kind and name, such as `Subnet underlay-subnet`.
    pub object: String,
    /// The field's path, such as `spec.excludeIps[2]`.
    pub field: String,
    /// What stands there; empty where nothing does.
    pub value: String,
    /// What to write instead, or what is wrong with it.
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, field, value, cure } = self;
        if value.is_empty() {
            write!(f, "{object}: {field} is missing: {cure}")
        } else {
            write!(f, "{object}: {field} {value:?} cannot be used: {cure}")
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_object_field_value_and_cure_on_one_line() {
        let problem = |value: &str| Problem {
            object: "Vlan v".into(),
            field: "spec.id".into(),
            value: value.into(),
            cure: "write 0 to 4094".into(),
        };
        let text = "Vlan v: spec.id \"4\\n095\" cannot be used: write 0 to 4094";
        assert_eq!(problem("4\n095").to_string(), text);
        assert_eq!(problem("").to_string(), "Vlan v: spec.id is missing: write 0 to 4094");
    }
}
