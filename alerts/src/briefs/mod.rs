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
use crate::fold::{DueBrief, Facts};
use letter::Told;

/// So long a brief waits for the index; then it goes without what the index knows, and says so.
const INDEX_PATIENCE_MS: i64 = 10 * 60 * 1_000;
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
    /// The message, with what the index counted. It is refused for now while the index may still answer.
    pub(crate) async fn written(
        self,
        reader: &DigestReader,
        links: &Links,
        now: Timestamp,
    ) -> Result<Message, Refused> {
        let Self { job, due, facts } = self;
        let told =
            Told { brief: &due.brief, period: due.period(), facts: &facts, console: links.console_url() };
        let digests = reader.read(&due.brief, &facts, &due.period()).await;
        if let Err(error) = &digests
            && now < due.decided.plus_millis(INDEX_PATIENCE_MS)
        {
            return Err(Refused::for_now(error));
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
