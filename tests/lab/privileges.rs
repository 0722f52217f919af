//! What a container of `deploy/` may do, given to a process of a test by `setpriv`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::lab::repository;

/// A container's user and capabilities.
pub struct Privileges {
    user: u64,
    /// As `setpriv` names them: in small letters.
    capabilities: BTreeSet<String>,
}

impl Privileges {
    /// What `deploy/speaker.yaml` says.
    pub fn of_the_speaker() -> Self {
        let text = fs::read_to_string(repository().join("deploy/speaker.yaml")).unwrap();
        let set: Value = serde_saphyr::from_str(&text).unwrap();
        let context = &set["spec"]["template"]["spec"]["containers"][0]["securityContext"];
        let list = |name: &str| context["capabilities"][name].as_array().cloned().unwrap_or_default();
        assert_eq!(list("drop"), ["ALL"], "what is not added is not there");
        assert_eq!(context["allowPrivilegeEscalation"], false, "and it cannot be had again");
        let added = list("add");
        let capabilities = added.iter().map(|name| name.as_str().unwrap().to_lowercase()).collect();
        Self { user: context["runAsUser"].as_u64().unwrap(), capabilities }
    }

    /// The same without one of them.
    pub fn without(mut self, capability: &str) -> Self {
        self.capabilities.remove(capability);
        self
    }

    /// The options of `setpriv`. Another user than root has none of its capabilities, as in a container.
    pub fn options(&self) -> Vec<String> {
        let added = self.capabilities.iter().map(|name| format!(",+{name}"));
        let set = ["-all".to_owned()].into_iter().chain(added).collect::<String>();
        let user = self.user.to_string();
        let words = ["--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs"];
        let words = words.into_iter().chain(["--bounding-set", &set, "--inh-caps=-all"]);
        words.map(str::to_owned).collect()
    }
}
