//! Briefs: what changed since the last one, written out for people who have a minute.
//!
//! The fold decides when a brief is due, for whom, and of which time. Its alerts, expectations and gaps come from the
//! fold, what was said from the index, asked at the moment of sending: nothing of it is kept. [`letter`] makes sentences
//! of both, each with the page that shows what it says; pure. [`reading`] asks the index, [`asked`] shows a brief as it
//! would read now. Sending it is [`crate::delivery`]'s.

mod asked;
mod letter;
mod reading;

use std::sync::Arc;

use earshot_common::time::Timestamp;

pub use asked::BriefAnswer;
pub(crate) use asked::{Asked, Briefs, routes};
pub(crate) use letter::{Letter, Line, Section};
pub(crate) use reading::DigestReader;

use crate::delivery::{Job, Links, Message, Refused};
use crate::fold::{DueBrief, Facts, GapFacts};
use letter::Told;

/// So long a brief waits for the index, and until all up to its end is collected and read; then it goes without, and
/// says so.
pub(crate) const PATIENCE_MS: i64 = 10 * 60 * 1_000;
/// A brief that comes so long after it was due says so.
const LATE_AFTER_MS: i64 = 15 * 60 * 1_000;

/// A brief that is to be written out and sent.
#[derive(Debug)]
pub(crate) struct BriefDraft {
    /// Its message.
    pub(crate) job: Job,
    /// Which brief, and of which time.
    pub(crate) due: Arc<DueBrief>,
    /// What the fold has to say.
    pub(crate) facts: Facts,
}

impl BriefDraft {
    /// The message, with what the index counted. It is refused for now while the index may still answer, and while what
    /// is not read yet may still be.
    pub(crate) async fn written(
        self,
        reader: &DigestReader,
        links: &Links,
        now: Timestamp,
    ) -> Result<Message, Refused> {
        let Self { job, due, facts } = self;
        let period = due.period(&job.key());
        let digests = reader.read(&due.brief, &facts, &period).await;
        let told = Told { brief: &due.brief, period, facts: &facts, console: links.console_url() };
        if now < due.decided.plus_millis(PATIENCE_MS) {
            if facts.gaps.iter().any(GapFacts::is_unread) {
                return Err(Refused::for_now("not all that was said up to its end is collected and read"));
            }
            if let Err(error) = &digests {
                return Err(Refused::for_now(error));
            }
        }
        let letter = Letter::of(&told, digests.as_deref().ok());
        let mut notes = Vec::new();
        if now >= due.until.plus_millis(LATE_AFTER_MS) {
            notes.push("This comes late: Earshot could not send it when it was due.".to_owned());
        }
        notes.extend(job.parts.iter().filter_map(|part| part.instead_of.clone()));
        let (key, route) = (job.key(), job.route());
        Ok(Message { key, route, to: job.to, notes, told: Vec::new(), letter: Some(letter) })
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::events::Channel;

    use super::*;
    use crate::delivery::{Content, Part};
    use crate::fold::SubjectFacts;
    use crate::index_client::IndexClient;

    /// Due at half past six, and told at once.
    fn draft() -> BriefDraft {
        let json = r#"{"brief":{"id":"daily","to":"board","subjects":["harbor"],"every":"day","at":"06:30"},
            "from":"2026-01-07T06:30:00Z","until":"2026-01-08T06:30:00Z","decided":"2026-01-08T06:30:02Z",
            "notify":[{"key":"brief/daily/x","route":"board","to":{"channel":"mail","address":"b@harbor.example"}}]}"#;
        let due: Arc<DueBrief> = Arc::new(serde_json::from_str(json).unwrap());
        let content = Content::Brief(Arc::clone(&due));
        let notification = due.notify[0].clone();
        let part = Part { notification, content, instead_of: None, over: false, in_hand: None };
        let job = Job { to: Channel::Mail("b@harbor.example".to_owned()), parts: vec![part], late: false };
        let harbor = SubjectFacts {
            id: "harbor".to_owned(),
            name: "Harbor".to_owned(),
            alerts: Vec::new(),
            expected: None,
            listened_from: Some(due.from),
        };
        BriefDraft { job, due, facts: Facts { subjects: vec![harbor], gaps: Vec::new() } }
    }

    #[tokio::test]
    async fn it_waits_until_all_is_read_and_then_goes_and_names_what_is_not() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let reader = DigestReader(IndexClient::at(&format!("http://{free}")));
        let links = crate::delivery::tests::links();
        let at = |time: &str| format!("2026-01-08T{time}Z").parse().unwrap();
        let behind = || {
            let mut draft = draft();
            draft.facts.gaps.push(GapFacts { source: None, name: None, from: at("02:00:00"), until: None });
            draft
        };
        match behind().written(&reader, &links, at("06:40:00")).await {
            Err(Refused::ForNow { error, .. }) => assert!(error.contains("collected and read"), "{error}"),
            other => panic!("{other:?}"),
        }
        let text = behind().written(&reader, &links, at("06:45:00")).await.unwrap().text().unwrap();
        assert!(text.contains("since Thu 8 Jan, 02:00"), "{text}");
    }

    #[tokio::test]
    async fn it_waits_for_an_index_that_does_not_answer_and_then_goes_without_and_says_so() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let reader = DigestReader(IndexClient::at(&format!("http://{free}")));
        let links = crate::delivery::tests::links();
        let at = |time: &str| format!("2026-01-08T{time}Z").parse().unwrap();
        match draft().written(&reader, &links, at("06:40:00")).await {
            Err(Refused::ForNow { error, .. }) => assert!(error.contains("ask the index"), "{error}"),
            other => panic!("{other:?}"),
        }
        let message = draft().written(&reader, &links, at("06:45:00")).await.unwrap();
        assert_eq!(message.key, "brief/daily/x");
        assert_eq!(message.notes, ["This comes late: Earshot could not send it when it was due."]);
        let text = message.text().unwrap();
        assert!(text.contains("The index did not answer, so nothing is said here of mentions."), "{text}");
    }
}
