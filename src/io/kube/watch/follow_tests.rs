use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::Status;
use serde_json::{Value, json};
use tokio::sync::watch::{Sender, channel};

use super::*;

/// What an API server answers next.
enum Answer {
    /// A list of these, at that version; whether more pages follow.
    List(Vec<&'static str>, &'static str, bool),
    /// A watch that tells this and ends, or stays open.
    Watch(Vec<Value>, bool),
    /// To whatever is asked.
    Refused(u16),
}

/// An API server that was told what to answer; what it was asked.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<(VecDeque<Answer>, Vec<String>)>>);

impl Script {
    fn answer(&self, asked: String) -> Option<Answer> {
        let mut script = self.0.lock().unwrap();
        script.1.push(asked);
        script.0.pop_front()
    }
}

fn refused(code: u16) -> kube::Error {
    kube::Error::Api(Box::new(Status { code, ..Status::default() }))
}

fn object(name: &str, version: &str) -> Value {
    json!({ "metadata": { "name": name, "resourceVersion": version } })
}

impl Source for Script {
    type Object = ConfigMap;

    async fn list(&self, how: &ListParams) -> kube::Result<ObjectList<ConfigMap>> {
        let limit = how.limit.unwrap_or_default();
        let from = how.continue_token.clone().unwrap_or_default();
        match self.answer(format!("list {limit} {from}").trim_end().to_owned()) {
            Some(Answer::List(names, version, more)) => {
                let items: Vec<Value> = names.into_iter().map(|name| object(name, "1")).collect();
                let metadata = json!({ "resourceVersion": version, "continue": more.then_some("next") });
                let list = json!({ "apiVersion": "v1", "kind": "ConfigMapList", "metadata": metadata, "items": items });
                Ok(serde_json::from_value(list).unwrap())
            }
            Some(Answer::Refused(code)) => Err(refused(code)),
            _ => panic!("no list is expected"),
        }
    }

    async fn watch(&self, how: &WatchParams, version: &str) -> kube::Result<Watching<ConfigMap>> {
        assert!(how.bookmarks);
        match self.answer(format!("watch {version}")) {
            Some(Answer::Watch(events, ends)) => {
                let events = events.into_iter().map(|event| Ok(serde_json::from_value(event).unwrap()));
                let events = stream::iter(events.collect::<Vec<_>>());
                Ok(if ends { events.boxed() } else { events.chain(stream::pending()).boxed() })
            }
            Some(Answer::Refused(code)) => Err(refused(code)),
            Some(Answer::List(..)) => panic!("no watch is expected"),
            None => Ok(stream::pending().boxed()),
        }
    }
}

fn modified(name: &str, version: &str) -> Value {
    json!({ "type": "MODIFIED", "object": object(name, version) })
}

fn bookmark(version: &str) -> Value {
    json!({ "type": "BOOKMARK", "object": { "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "resourceVersion": version } } })
}

fn error(code: u16) -> Value {
    json!({ "type": "ERROR", "object": { "status": "Failure", "message": "m", "reason": "r", "code": code } })
}

/// What is told until nothing more comes, and what was asked.
struct Run {
    script: Script,
    events: BoxStream<'static, Result<Event<ConfigMap>, Trouble>>,
    look: Sender<u64>,
}

impl Run {
    fn new(answers: Vec<Answer>) -> Self {
        let script = Script::default();
        script.0.lock().unwrap().0 = answers.into();
        let (look, looked) = channel(0);
        let events = follow(script.clone(), 120, None, looked).boxed();
        Self { script, events, look }
    }

    fn told(&mut self) -> Vec<String> {
        let name = |object: ConfigMap| object.metadata.name.unwrap();
        let words = |told| match told {
            Ok(Event::Init) => "init".to_owned(),
            Ok(Event::InitApply(object)) => format!("listed {}", name(object)),
            Ok(Event::InitDone) => "done".to_owned(),
            Ok(Event::Apply(object)) => format!("applied {}", name(object)),
            Ok(Event::Delete(object)) => format!("deleted {}", name(object)),
            Err(trouble) => format!("{trouble:?}"),
        };
        let next = || self.events.next().now_or_never().flatten().map(words);
        std::iter::from_fn(next).collect()
    }

    fn asked(&self) -> Vec<String> {
        self.script.0.lock().unwrap().1.clone()
    }
}

fn at(version: &'static str) -> Answer {
    Answer::List(vec![], version, false)
}

#[tokio::test]
async fn pages_are_one_list_and_the_watch_goes_on_from_it() {
    let list = |names, more| Answer::List(names, "7", more);
    let mut run = Run::new(vec![
        list(vec!["a", "b"], true),
        list(vec!["c"], false),
        Answer::Watch(vec![modified("a", "8")], false),
    ]);
    assert_eq!(run.told(), ["init", "listed a", "listed b", "listed c", "done", "applied a"]);
    assert_eq!(run.asked(), ["list 500", "list 500 next", "watch 7"]);
}

#[tokio::test]
async fn a_watch_that_spoke_and_ended_goes_on_where_it_was_without_a_question() {
    let watch = Answer::Watch(vec![modified("a", "8"), bookmark("20")], true);
    let mut run = Run::new(vec![at("7"), watch]);
    assert_eq!(run.told(), ["init", "done", "applied a"]);
    assert_eq!(run.asked(), ["list 500", "watch 7", "watch 20"]);
}

#[tokio::test]
async fn a_watch_that_said_nothing_to_its_end_is_looked_into() {
    let mut run = Run::new(vec![at("7"), Answer::Watch(vec![], true), at("9")]);
    assert_eq!(run.told(), ["init", "done", "Routine"]);
    assert_eq!(run.asked(), ["list 500", "watch 7", "list 1", "watch 7"]);
}

#[tokio::test]
async fn a_state_that_went_back_is_noticed_after_a_failure_and_listed_anew() {
    let watch = Answer::Watch(vec![bookmark("2000"), error(500)], true);
    let again = Answer::List(vec!["a"], "1201", false);
    let mut run = Run::new(vec![at("1000"), watch, Answer::Refused(500), at("1200"), again]);
    let told = run.told();
    assert_eq!(told[4], "Rewound(Rewind { before: 2000, now: 1200 })", "{told:?}");
    assert_eq!(told[5..], ["init", "listed a", "done"]);
    assert_eq!(run.asked(), ["list 500", "watch 1000", "list 1", "list 1", "list 500", "watch 1201"]);
}

#[tokio::test]
async fn whoever_learned_of_it_has_it_looked_at_at_once() {
    let mut run = Run::new(vec![at("9"), Answer::Watch(vec![], false), at("7"), at("7")]);
    assert_eq!(run.told(), ["init", "done"]);
    run.look.send_modify(|times| *times += 1);
    assert_eq!(run.told(), ["Rewound(Rewind { before: 9, now: 7 })", "init", "done"]);
}

#[tokio::test]
async fn history_that_is_gone_is_listed_anew_and_a_watch_that_is_refused_is_tried_again() {
    let gone = Answer::Watch(vec![error(410)], false);
    let answers = [at("5"), gone, at("7"), Answer::Refused(410), at("8"), Answer::Refused(403), at("8")];
    let mut run = Run::new(answers.into());
    let told = run.told();
    assert_eq!(told[2..], ["Routine", "init", "done", "Routine", "init", "done", "Forbidden(\"watch\")"]);
    let asked = ["list 500", "watch 5", "list 500", "watch 7", "list 500", "watch 8", "list 1", "watch 8"];
    assert_eq!(run.asked(), asked);
}

#[tokio::test]
async fn a_list_that_fails_begins_anew() {
    let mut run = Run::new(vec![Answer::List(vec!["a"], "7", true), Answer::Refused(429), at("8")]);
    let told = run.told();
    assert_eq!(
        (&told[..2], &told[3..]),
        (&["init".into(), "listed a".into()][..], &["init".into(), "done".into()][..])
    );
}

#[tokio::test]
async fn a_state_that_went_back_is_noticed_also_where_history_is_gone() {
    let gone = Answer::Watch(vec![bookmark("2000"), error(410)], false);
    let mut run = Run::new(vec![at("1000"), gone, at("1200"), at("1201")]);
    let told = run.told();
    let went_back = "Rewound(Rewind { before: 2000, now: 1200 })";
    assert_eq!(told[2..], ["Routine", "init", went_back, "init", "done"], "{told:?}");
}
