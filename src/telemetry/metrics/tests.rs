use super::*;

#[test]
fn metrics_read_as_open_metrics() {
    let (metrics, health) = ControllerMetrics::new();
    metrics.rows.inc_by(3);
    metrics.transactions.get_or_create(&label("outcome", "committed")).inc();
    replace(&metrics.refusals, "reason", [("NoVip", 2)]);
    observe(&metrics.commit, Duration::from_millis(2));
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let page = health.page(Asked { path: "/metrics", accept, ..Asked::default() }).unwrap();
    assert_eq!((page.standing, page.content_type), (Standing::Well, OPEN_METRICS));
    assert!(page.body.ends_with("# EOF\n"));
    for line in [
        "ovn_vip_northbound_rows_written_total 3",
        "ovn_vip_northbound_transactions_total{outcome=\"committed\"} 1",
        "ovn_vip_refusals{reason=\"NoVip\"} 2",
        "ovn_vip_northbound_commit_seconds_count 1",
    ] {
        assert!(page.body.contains(line), "{line} is not in\n{}", page.body);
    }
}

#[test]
fn who_does_not_ask_for_open_metrics_gets_plain_text() {
    let (metrics, health) = ControllerMetrics::new();
    metrics.rows.inc_by(3);
    for accept in ["", "*/*", "text/plain;version=0.0.4"] {
        let page = health.page(Asked { path: "/metrics", accept, ..Asked::default() }).unwrap();
        assert_eq!(page.content_type, PLAIN_METRICS);
        assert!(page.body.contains("# TYPE ovn_vip_northbound_rows_written_total counter\n"));
        assert!(page.body.contains("\novn_vip_northbound_rows_written_total 3\n"));
        let build = format!("ovn_vip_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
        assert!(page.body.contains(&build) && !page.body.contains("# EOF"), "{}", page.body);
    }
}

fn asked(path: &str) -> Asked<'_> {
    Asked { path, ..Asked::default() }
}

#[test]
fn status_is_for_the_node_itself_and_for_those_who_show_the_token() {
    let (_, health) = SpeakerMetrics::new();
    health.set_status("{}".to_owned());
    let standing = |asked: Asked<'_>| health.page(asked).unwrap().standing;
    assert_eq!(standing(Asked { local: true, ..asked("/status") }), Standing::Well);
    let shown = |token| Asked { token: Some(token), ..asked("/status") };
    for refused in [asked("/status"), shown(""), shown("secret")] {
        assert_eq!(standing(refused), Standing::Withheld);
    }
    health.token.set("secret".to_owned()).unwrap();
    for refused in [asked("/status"), shown(""), shown("secreT"), shown("secret2")] {
        assert_eq!(standing(refused), Standing::Withheld);
    }
    assert_eq!(standing(shown("secret")), Standing::Well);
}

#[test]
fn readiness_says_what_is_waited_for() {
    let (_, health) = SpeakerMetrics::new();
    let page = |path| health.page(asked(path)).unwrap();
    assert_eq!(page("/readyz").standing, Standing::Unwell);
    health.set_ready(Some("the northbound"));
    assert_eq!((page("/readyz").standing, &*page("/readyz").body), (Standing::Unwell, "the northbound\n"));
    health.set_ready(None);
    assert_eq!((page("/readyz").standing, page("/healthz").standing), (Standing::Well, Standing::Well));
}
