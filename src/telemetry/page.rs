//! The page `/page`: one file that draws what `/page.json` tells. That is made only while somebody looks.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::io::http::{Page, Standing};

/// The page itself, which names nothing outside of it.
pub const HTML: &str = include_str!("page.html");
/// What was made earlier than that is not shown: nobody has looked meanwhile.
const FRESH: Duration = Duration::from_secs(3);
/// More often it is not made, however many look.
const AT_MOST_EVERY: Duration = Duration::from_millis(500);

/// What the page shows.
#[derive(Debug, Default)]
pub struct Shown {
    looked: Notify,
    made: Mutex<Option<(Instant, String)>>,
}

impl Shown {
    /// Ends when somebody has looked since it ended last. Cancel-safe.
    pub async fn looked(&self) {
        self.looked.notified().await;
    }

    /// Makes it anew, unless that was done a moment ago.
    pub fn renew(&self, now: Instant, make: impl FnOnce() -> String) {
        let Ok(mut made) = self.made.lock() else { return };
        if made.as_ref().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= AT_MOST_EVERY) {
            *made = Some((now, make()));
        }
    }

    /// The last one, and wakes whoever makes the next. Unwell: it is being made.
    pub(super) fn json(&self, now: Instant) -> Page {
        self.looked.notify_one();
        let made = self.made.lock().ok().and_then(|made| made.clone());
        let fresh = made.filter(|(at, _)| now.saturating_duration_since(*at) < FRESH);
        let (standing, body) = match fresh {
            Some((_, body)) => (Standing::Well, body),
            None => (Standing::Unwell, "{}".to_owned()),
        };
        Page { standing, content_type: "application/json", body }
    }
}

/// The page.
pub(super) fn html() -> Page {
    Page { standing: Standing::Well, content_type: "text/html; charset=utf-8", body: HTML.to_owned() }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an Instant has no other beginning than now")]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_nothing_but_its_own_data() {
        for outside in ["http://", "https://", "//cdn", " src=", "@import", "url(", "innerHTML", "eval("] {
            assert!(!HTML.contains(outside), "{outside} is in it");
        }
        assert_eq!(HTML.matches("href=").count(), 1, "the empty icon");
        assert_eq!(HTML.matches("fetch(").count(), 1);
        assert!(HTML.contains("fetch(\"page.json\""));
        assert!(HTML.contains("default-src 'none'") && HTML.contains("prefers-color-scheme: dark"));
    }

    #[tokio::test]
    async fn it_is_made_for_who_looks_and_not_for_others() {
        let (shown, start) = (Shown::default(), Instant::now());
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(shown.json(start).standing, Standing::Unwell);
        shown.looked().await;
        shown.renew(start, || "1".to_owned());
        shown.renew(after(499), || unreachable!("it was made a moment ago"));
        assert_eq!(shown.json(after(2_999)).body, "1");
        assert_eq!(shown.json(after(3_000)).standing, Standing::Unwell, "nobody has looked meanwhile");
        shown.renew(after(3_001), || "2".to_owned());
        assert_eq!(shown.json(after(3_002)).body, "2");
    }
}
