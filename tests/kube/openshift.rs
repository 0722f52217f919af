//! The chart's SecurityContextConstraints against what its Pods ask for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::chart::{Helm, kind};

#[test]
fn openshifts_gate_lets_the_pods_have_what_they_ask_for_and_nothing_else() {
    for more in ["openshift.scc=true", "openshift.scc=true,http.statusTokenSecret=token"] {
        let documents = Helm::offline().template(&["--set", more]);
        for (workload, name) in [("Deployment", "ovn-vip-controller"), ("DaemonSet", "ovn-vip-speaker")] {
            let pod = kind(&documents, workload)["spec"]["template"]["spec"].clone();
            let is_its =
                |it: &&Value| it["kind"] == "SecurityContextConstraints" && it["metadata"]["name"] == name;
            let scc = documents.iter().find(is_its).unwrap();
            let names = |list: &Value| -> BTreeSet<String> {
                list.as_array().into_iter().flatten().map(|it| it.as_str().unwrap().to_owned()).collect()
            };
            let of_volume = |it: &Value| it.as_object().unwrap().keys().find(|key| *key != "name").cloned();
            let volumes = pod["volumes"].as_array().unwrap().iter().filter_map(of_volume);
            // The ServiceAccount's token is a projected volume that the API server adds.
            let volumes: BTreeSet<String> = volumes.chain(["projected".to_owned()]).collect();
            assert_eq!(names(&scc["volumes"]), volumes, "{name}");
            let context = &pod["containers"][0]["securityContext"];
            assert_eq!(names(&scc["allowedCapabilities"]), names(&context["capabilities"]["add"]), "{name}");
            assert_eq!(scc["allowHostNetwork"], pod["hostNetwork"], "{name}");
            assert_eq!(scc["allowHostDirVolumePlugin"], volumes.contains("hostPath"), "{name}");
            for never in
                ["allowHostIPC", "allowHostPID", "allowPrivilegedContainer", "allowPrivilegeEscalation"]
            {
                assert_eq!(scc[never], false, "{name} {never}");
            }
            assert_eq!(scc["users"], json!([format!("system:serviceaccount:kube-system:{name}")]));
            assert_eq!(names(&scc["groups"]), BTreeSet::new());
        }
    }
}
