//! Who may send what, and when: an account of the claims and results in `signals`.
//!
//! Pure: it is told what was read and what time it is, and answers what to write and what to send.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use earshot_common::events::{AlertEvent, Channel, Delivery, DeliveryState, Notification, SchemaVersion};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::briefs::PATIENCE_MS;
use crate::fold::DueBrief;
use crate::settings::in_words;

/// The first wait before another attempt; it doubles each time.
const FIRST_WAIT_MS: i64 = 5_000;
/// The longest wait that we choose ourselves: the pace at which a long outage is sat out.
const LAST_WAIT_MS: i64 = 120_000;
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED_MS: i64 = 10 * 60 * 1_000;

/// What is older than this when it is sent is late: late messages to one address of people become one.
const LATE_AFTER_MS: i64 = 15 * 60 * 1_000;
/// Messages that take the place of others wait so long for each other: a channel seldom fails for one alone.
const INSTEAD_WAIT_S: u32 = 5;
/// A claim that came too late is made again after this.
const NEXT_CLAIM_MS: i64 = 5_000;
/// Notifications that one message tells, at most.
const MOST_TOGETHER: usize = 20;
/// Attempts at one receiver at the same time, at most: one that hangs leaves room for the others.
const MOST_AT_ONCE: usize = 4;
/// The same at the mail server, which all addresses share.
const MOST_MAILS_AT_ONCE: usize = 16;

/// How long claims and attempts last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A claim older than this may be taken over.
    pub(crate) claim_timeout_ms: i64,
    /// From the first claim on, or from the start of this program where that is later, a message is tried for this long.
    pub(crate) retry_for_ms: i64,
    /// The same for a message that has a fallback.
    pub(crate) fallback_after_ms: i64,
}

/// A message that was given up is listed for this long, so that somebody sees it.
const LISTED_FOR_MS: i64 = 24 * 60 * 60 * 1_000;

/// Messages that are not done with.
#[derive(Debug)]
pub(crate) struct Ledger {
    sender: String,
    limits: Limits,
    /// When this program started: no time counts in which nobody could send.
    started: Timestamp,
    entries: BTreeMap<String, Entry>,
    /// When the newest of each brief was due.
    briefs: BTreeMap<String, Timestamp>,
    /// The latest time that the log's clock has shown.
    log_time: Timestamp,
    /// What was given up for want of time while those in its place are told, by its key.
    passed_on: BTreeMap<String, Entry>,
    /// What was given up, with the time of the record that says so.
    given_up: BTreeMap<String, (Timestamp, Undelivered)>,
}

/// A message that was decided and that nobody has taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undelivered {
    /// The message: alert and transition, or brief and time; channel and address.
    pub key: String,
    /// The alert that it tells of; none of a brief.
    #[serde(default)]
    pub alert: Option<AlertKey>,
    /// The route that asked for it.
    pub route: String,
    /// The channel, such as `mail`.
    pub channel: String,
    /// When it was decided.
    pub since: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// What the last attempt that is known came to.
    pub error: Option<String>,
    /// Whether it was given up: no further attempt follows.
    pub given_up: bool,
}

#[derive(Debug)]
struct Entry {
    notification: Notification,
    content: Content,
    /// When it was decided, or the failure that it takes the place of.
    since: Timestamp,
    /// What it takes the place of, for the reader.
    instead_of: Option<String>,
    /// The key of that.
    in_place_of: Option<String>,
    /// Whether the alert has ended meanwhile.
    over: bool,
    /// Who has the alert in hand by now.
    in_hand: Option<String>,
    first_claim: Option<Timestamp>,
    claim: Option<Claim>,
    attempt: u32,
    /// What the last attempt came to.
    error: Option<String>,
    stage: Stage,
}

/// The claim that owns the message.
#[derive(Debug)]
struct Claim {
    sender: String,
    appended: Timestamp,
}

/// How far the message is with this sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Since one time, and not before another.
    Waiting { since: Timestamp, until: Timestamp },
    /// Our claim is on its way into the log since then.
    Claiming(Timestamp),
    /// Our claim, written then, was read back and owns the message.
    Owned(Timestamp),
    /// An attempt is under way; it is counted at the first part of its message.
    Sending { first: bool },
}

impl Stage {
    /// Waiting for nothing any more.
    fn due(now: Timestamp) -> Self {
        Self::Waiting { since: now, until: now }
    }
}

/// What a message tells.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A transition of an alert.
    Alert(Arc<AlertEvent>),
    /// A brief.
    Brief(Arc<DueBrief>),
}

impl Content {
    /// When it was decided.
    pub(crate) fn decided(&self) -> Timestamp {
        match self {
            Self::Alert(event) => event.decided,
            Self::Brief(due) => due.decided,
        }
    }

    fn alert(&self) -> Option<AlertKey> {
        match self {
            Self::Alert(event) => Some(event.alert),
            Self::Brief(_) => None,
        }
    }
}

/// A message to send now.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) to: Channel,
    /// What it tells: a brief, or at least one transition, several only on a channel that people read.
    pub(crate) parts: Vec<Part>,
    /// Whether it is sent long after it was decided.
    pub(crate) late: bool,
}

/// A notification that a message delivers.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) notification: Notification,
    pub(crate) content: Content,
    /// What it takes the place of, for the reader.
    pub(crate) instead_of: Option<String>,
    /// Whether the alert has ended meanwhile.
    pub(crate) over: bool,
    /// Who has the alert in hand by now.
    pub(crate) in_hand: Option<String>,
}

impl Job {
    /// The notifications that it delivers.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.notification.key.clone()).collect()
    }

    /// The message's own key: that of its only notification, or one made of all.
    pub(crate) fn key(&self) -> String {
        match self.keys().as_slice() {
            [only] => only.clone(),
            keys => format!("together/{}", &blake3::hash(keys.join("\n").as_bytes()).to_hex()[..32]),
        }
    }

    /// When the first of it was decided.
    pub(crate) fn decided(&self) -> Option<Timestamp> {
        self.parts.iter().map(|part| part.content.decided()).min()
    }

    /// The brief that it tells, where it tells one.
    pub(crate) fn brief(&self) -> Option<Arc<DueBrief>> {
        self.parts.iter().find_map(|part| match &part.content {
            Content::Brief(due) => Some(Arc::clone(due)),
            Content::Alert(_) => None,
        })
    }

    /// The route that asked for it, or for its first part.
    pub(crate) fn route(&self) -> String {
        self.parts.first().map(|part| part.notification.route.clone()).unwrap_or_default()
    }
}

/// What may be told in one message: what waits for others of its route and address, and what is late to an address.
type Bundle = (Channel, Option<String>);

/// How many messages are under way at each receiver.
#[derive(Debug, Default)]
struct UnderWay {
    messages: BTreeMap<Receiver, usize>,
    bundles: BTreeSet<Bundle>,
}

/// Who takes messages: one address, or the server that all mail goes through.
type Receiver = (&'static str, Option<String>);

impl UnderWay {
    /// Counts a message; what is told together is one.
    fn add(&mut self, to: &Channel, bundle: Option<Bundle>) {
        if bundle.is_none_or(|bundle| self.bundles.insert(bundle)) {
            *self.messages.entry(receiver(to).0).or_default() += 1;
        }
    }

    /// Counts a message where its receiver has room for it. Answers whether it has.
    fn admit(&mut self, to: &Channel, bundle: Option<Bundle>) -> bool {
        let (receiver, most) = receiver(to);
        let begun = bundle.as_ref().is_some_and(|bundle| self.bundles.contains(bundle));
        let has_room = begun || self.messages.get(&receiver).is_none_or(|messages| *messages < most);
        if has_room {
            self.add(to, bundle);
        }
        has_room
    }
}

/// Who takes what goes there, and how many at the same time.
fn receiver(to: &Channel) -> (Receiver, usize) {
    match to {
        Channel::Mail(_) => ((to.name(), None), MOST_MAILS_AT_ONCE),
        _ => ((to.name(), to.address().map(str::to_owned)), MOST_AT_ONCE),
    }
}

/// What became of an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// To be written: delivered, or failed for good.
    Done(Delivery),
    /// To be tried again.
    Later,
}

impl Ledger {
    /// An empty account of the sender with this name, which started then.
    pub(crate) fn new(sender: String, limits: Limits, started: Timestamp) -> Self {
        Self {
            sender,
            limits,
            started,
            entries: BTreeMap::new(),
            briefs: BTreeMap::new(),
            log_time: Timestamp::default(),
            passed_on: BTreeMap::new(),
            given_up: BTreeMap::new(),
        }
    }

    /// The log took a record then. How old another's claim is, is told by the log's clock as well as by ours: one of
    /// them may be wrong.
    pub(crate) fn note_time(&mut self, appended: Timestamp) {
        self.log_time = self.log_time.max(appended);
    }

    /// A transition was decided: its messages are to be sent.
    pub(crate) fn expect(&mut self, event: &AlertEvent) {
        let of_it = |entry: &&mut Entry| entry.content.alert() == Some(event.alert);
        for entry in self.entries.values_mut().filter(of_it) {
            entry.in_hand = event.acknowledged.as_ref().map(|held| held.by.clone());
            if let Some(open) = event.transition.leaves_open() {
                entry.over = !open;
            }
        }
        if event.notify.is_empty() {
            return;
        }
        self.insert(&event.notify, &Content::Alert(Arc::new(event.clone())));
    }

    /// The newest of each brief was due: its messages are to be sent. It takes the place of one before that waits, since
    /// it tells what that would have told. Answers whether it was not known.
    pub(crate) fn expect_brief(&mut self, due: &DueBrief) -> bool {
        if self.briefs.insert(due.brief.id.clone(), due.until) == Some(due.until) {
            return false;
        }
        self.entries.retain(|_, entry| entry.is_being_sent() || !entry.is_of_brief(&due.brief.id));
        self.insert(&due.notify, &Content::Brief(Arc::new(due.clone())));
        true
    }

    fn insert(&mut self, notify: &[Notification], content: &Content) {
        for notification in notify {
            let entry = Entry::new(notification.clone(), content.clone(), content.decided());
            self.entries.entry(notification.key.clone()).or_insert(entry);
        }
    }

    /// Reads a record of a sender. The first claim in the order of the log owns the message, until its owner
    /// renews it or it is older than the timeout. Whoever delivers it has delivered it; but one whose claim was taken
    /// over gives nothing up: its owner may deliver it yet.
    pub(crate) fn take(&mut self, appended: Timestamp, delivery: &Delivery) {
        self.note_time(appended);
        let Some(entry) = self.entries.get_mut(&delivery.key) else {
            // It failed a second time: a snapshot says so before it tells of those in its place.
            if delivery.state == DeliveryState::Failed {
                self.passed_on.remove(&delivery.key);
            }
            return;
        };
        let of_another = entry.claim.as_ref().is_some_and(|claim| claim.sender != delivery.sender);
        if delivery.state == DeliveryState::Failed && of_another {
            if entry.is_being_sent() && delivery.sender == self.sender {
                entry.stage = Stage::due(appended);
            }
            return;
        }
        if delivery.state != DeliveryState::Sending {
            if let Some(entry) = self.entries.remove(&delivery.key) {
                self.end(entry, delivery, appended);
            }
            return;
        }
        let timeout_ms = self.limits.claim_timeout_ms;
        let owned_by_another = entry.claim.as_ref().is_some_and(|claim| {
            claim.sender != delivery.sender && appended < claim.appended.plus_millis(timeout_ms)
        });
        let ours = delivery.sender == self.sender;
        if owned_by_another {
            if let Stage::Claiming(written) = entry.stage
                && ours
            {
                entry.stage = Stage::Waiting { since: written, until: written.plus_millis(NEXT_CLAIM_MS) };
            }
            return;
        }
        entry.claim = Some(Claim { sender: delivery.sender.clone(), appended });
        entry.attempt = entry.attempt.max(delivery.attempt);
        if delivery.error.is_some() {
            entry.error.clone_from(&delivery.error);
        }
        // Our own clock measures our own claim: the log's may be another.
        let claimed = match entry.stage {
            Stage::Claiming(written) if ours => written,
            _ => appended,
        };
        entry.first_claim.get_or_insert(claimed);
        if ours {
            entry.stage = Stage::Owned(claimed);
        }
    }

    /// A message is delivered or has failed.
    fn end(&mut self, entry: Entry, delivery: &Delivery, at: Timestamp) {
        let first = entry.in_place_of.clone();
        if delivery.state == DeliveryState::Delivered {
            if let Some(first) = first {
                self.passed_on.remove(&first);
            }
            return;
        }
        let mut listed = entry.listed(&delivery.key, true);
        listed.attempts = delivery.attempt;
        listed.error.clone_from(&delivery.error);
        self.given_up.insert(delivery.key.clone(), (at, listed));
        self.fall_back(&entry, delivery, at);
        if delivery.out_of_time && !entry.notification.fallback.is_empty() {
            self.passed_on.insert(delivery.key.clone(), entry);
        }
        if let Some(first) = first {
            self.resume(&first, at);
        }
    }

    /// Where nobody in its place could be told either, a message is tried again: its channel may be back.
    fn resume(&mut self, key: &str, at: Timestamp) {
        if self.entries.values().any(|entry| entry.in_place_of.as_deref() == Some(key)) {
            return;
        }
        let Some(mut entry) = self.passed_on.remove(key) else { return };
        entry.notification.fallback.clear();
        (entry.claim, entry.first_claim, entry.stage) = (None, None, Stage::due(at));
        self.given_up.remove(key);
        self.entries.insert(key.to_owned(), entry);
    }

    /// Expects the messages that take the place of one that failed. They follow from the log as that one does, so a
    /// restart expects the same.
    fn fall_back(&mut self, failed: &Entry, delivery: &Delivery, at: Timestamp) {
        let error = delivery.error.as_deref().unwrap_or("no reason is known");
        for notification in &failed.notification.fallback {
            let mut notification = notification.clone();
            if notification.to.is_read_by_people() {
                notification.group_wait_s = notification.group_wait_s.max(INSTEAD_WAIT_S);
            }
            let key = notification.key.clone();
            let mut entry = Entry::new(notification, failed.content.clone(), at);
            entry.instead_of = Some(format!(
                "This comes instead of a message that could not be delivered ({}): {error}",
                in_words(&failed.notification.to)
            ));
            entry.in_place_of = Some(delivery.key.clone());
            entry.over = failed.over;
            entry.in_hand.clone_from(&failed.in_hand);
            self.entries.entry(key).or_insert(entry);
        }
    }

    /// The claims to write now: of what can be sent at once, so that a claim is an attempt.
    pub(crate) fn claims(&mut self, now: Timestamp) -> Vec<Delivery> {
        let mut under_way = self.under_way(now);
        let mut claims = Vec::new();
        for key in self.due(now) {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if !under_way.admit(&entry.notification.to, entry.bundle(now)) {
                continue;
            }
            entry.stage = Stage::Claiming(now);
            // With what the attempt before came to, so that it is known after a restart too.
            let error = entry.error.clone();
            claims.push(delivery(&key, DeliveryState::Sending, entry.attempt + 1, &self.sender, error));
        }
        claims
    }

    /// The messages that wait for nothing but room, the most severe first, and of these the oldest.
    fn due(&self, now: Timestamp) -> Vec<String> {
        let first_of = self.first_of_bundles();
        let due_digests = self.due_digests(now);
        let heads = self.heads();
        let mut due = Vec::new();
        for (key, entry) in self.entries.iter().filter(|(_, entry)| entry.is_waiting()) {
            let waits =
                !entry.is_due(now) && !entry.digest(now).is_some_and(|digest| due_digests.contains(&digest));
            let first =
                entry.bundle(now).and_then(|bundle| first_of.get(&bundle)).filter(|_| entry.attempt == 0);
            let waits_for_others = first.is_some_and(|first| {
                let wait_ms = i64::from(entry.notification.group_wait_s) * 1_000;
                *first <= now && now < first.plus_millis(wait_ms)
            });
            let follows = entry.place().is_some_and(|(place, sequence)| heads[&place] < sequence);
            if waits || waits_for_others || follows || self.is_owned_by_another(entry, now) {
                continue;
            }
            due.push((entry.order(), key));
        }
        due.sort_unstable();
        due.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// The first transition of each alert that each webhook has not got: a program that hears of the end before the
    /// beginning would keep the alert open.
    fn heads(&self) -> BTreeMap<(AlertKey, &Channel), u32> {
        let mut heads = BTreeMap::new();
        for (place, sequence) in self.entries.values().filter_map(Entry::place) {
            let head = heads.entry(place).or_insert(sequence);
            *head = sequence.min(*head);
        }
        heads
    }

    fn is_owned_by_another(&self, entry: &Entry, now: Timestamp) -> bool {
        entry.claim.as_ref().is_some_and(|claim| {
            let until = claim.appended.plus_millis(self.limits.claim_timeout_ms);
            claim.sender != self.sender && now.max(self.log_time) < until
        })
    }

    /// What is claimed or being sent, by receiver.
    fn under_way(&self, now: Timestamp) -> UnderWay {
        let mut under_way = UnderWay::default();
        for entry in self.entries.values() {
            match entry.stage {
                Stage::Claiming(_) | Stage::Owned(_) => {
                    under_way.add(&entry.notification.to, entry.bundle(now));
                }
                Stage::Sending { first: true } => under_way.add(&entry.notification.to, None),
                Stage::Sending { first: false } | Stage::Waiting { .. } => {}
            }
        }
        under_way
    }

    /// Since when the first of those waits that wait for each other.
    fn first_of_bundles(&self) -> BTreeMap<Bundle, Timestamp> {
        let mut first_of: BTreeMap<Bundle, Timestamp> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| entry.attempt == 0 && entry.is_waiting()) {
            if let Some(bundle) = entry.grouped() {
                let first = first_of.entry(bundle).or_insert(entry.since);
                *first = entry.since.min(*first);
            }
        }
        first_of
    }

    /// The digests of which a part is due: all of it goes then, so that an outage ends with one message.
    fn due_digests(&self, now: Timestamp) -> BTreeSet<Bundle> {
        let due = |entry: &&Entry| entry.is_due(now) && !self.is_owned_by_another(entry, now);
        self.entries.values().filter(due).filter_map(|entry| entry.digest(now)).collect()
    }

    /// The messages to send now, at most so many; they count as under way. A claim that was read back too late
    /// to rely on is made again. What belongs together waits until all claims of it are read back.
    pub(crate) fn jobs(&mut self, most: usize, now: Timestamp) -> Vec<Job> {
        let claiming = self.entries.values().filter(|entry| matches!(entry.stage, Stage::Claiming(_)));
        let held: BTreeSet<Bundle> = claiming.filter_map(|entry| entry.bundle(now)).collect();
        let mut owned: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.stage, Stage::Owned(_)))
            .map(|(key, entry)| (entry.order(), key.clone()))
            .collect();
        owned.sort_unstable();
        let mut jobs: Vec<Job> = Vec::new();
        let mut open: BTreeMap<Bundle, usize> = BTreeMap::new();
        for (_, key) in owned {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            let Stage::Owned(written) = entry.stage else { continue };
            // Where our clock was set back since, nobody knows how old the claim is.
            if now < written || now >= written.plus_millis(self.limits.claim_timeout_ms) {
                entry.was_not_begun(now);
                continue;
            }
            let bundle = entry.bundle(now);
            if bundle.as_ref().is_some_and(|bundle| held.contains(bundle)) {
                continue;
            }
            let begun = bundle.as_ref().and_then(|bundle| open.get(bundle)).copied();
            let begun = begun.filter(|job| jobs[*job].parts.len() < MOST_TOGETHER);
            match begun {
                Some(job) => jobs[job].parts.push(entry.part()),
                None if jobs.len() == most => continue,
                None => {
                    open.extend(bundle.map(|bundle| (bundle, jobs.len())));
                    let to = entry.notification.to.clone();
                    jobs.push(Job { to, parts: vec![entry.part()], late: entry.is_late(now) });
                }
            }
            entry.stage = Stage::Sending { first: begun.is_none() };
        }
        jobs
    }

    /// An attempt has ended.
    pub(crate) fn settle(&mut self, key: &str, result: Result<(), Refused>, now: Timestamp) -> Outcome {
        let Some(entry) = self.entries.get_mut(key) else { return Outcome::Later };
        let attempt = entry.attempt;
        let done = |state, error| Outcome::Done(delivery(key, state, attempt, &self.sender, error));
        match result {
            Ok(()) => done(DeliveryState::Delivered, None),
            Err(Refused::ForGood { error }) => done(DeliveryState::Failed, Some(error)),
            Err(Refused::ForNow { error, after }) => {
                let retry_for_ms = match entry.notification.fallback.is_empty() {
                    true => self.limits.retry_for_ms,
                    false => self.limits.fallback_after_ms,
                };
                let since = entry.first_claim.unwrap_or(now).max(self.started);
                let until = since.plus_millis(retry_for_ms);
                let until = match entry.brief_until(&self.limits) {
                    Some(brief) if entry.notification.fallback.is_empty() => brief,
                    Some(brief) => brief.max(until),
                    None => until,
                };
                let next = now.plus_millis(wait_ms(attempt, after));
                if next >= until {
                    let error = Some(format!("given up after {attempt} attempts: {error}"));
                    let failed = delivery(key, DeliveryState::Failed, attempt, &self.sender, error);
                    return Outcome::Done(Delivery { out_of_time: true, ..failed });
                }
                tracing::warn!(key, attempt, error, %next, "a message was not taken; it is tried again");
                entry.stage = Stage::Waiting { since: now, until: next };
                entry.error = Some(error);
                Outcome::Later
            }
        }
    }

    /// Whether another message takes the place of this one where it fails.
    pub(crate) fn has_fallback(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|entry| !entry.notification.fallback.is_empty())
    }

    /// What nobody has taken: the messages that wait for an attempt or its end, and those that were given up
    /// within a day.
    pub(crate) fn listing(&mut self, now: Timestamp) -> Vec<Undelivered> {
        self.given_up.retain(|_, (at, _)| now < at.plus_millis(LISTED_FOR_MS));
        let waiting = self.entries.iter().map(|(key, entry)| entry.listed(key, false));
        waiting.chain(self.given_up.values().map(|(_, listed)| listed.clone())).collect()
    }
}

impl Entry {
    fn new(notification: Notification, content: Content, since: Timestamp) -> Self {
        Self {
            notification,
            content,
            since,
            instead_of: None,
            in_place_of: None,
            over: false,
            in_hand: None,
            first_claim: None,
            claim: None,
            attempt: 0,
            error: None,
            stage: Stage::due(Timestamp::default()),
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    /// Its alert and webhook, and its number among what is told of that alert there.
    fn place(&self) -> Option<((AlertKey, &Channel), u32)> {
        match (&self.content, &self.notification.to) {
            (Content::Alert(event), to @ Channel::Webhook(_)) => Some(((event.alert, to), event.sequence)),
            _ => None,
        }
    }

    fn is_being_sent(&self) -> bool {
        matches!(self.stage, Stage::Sending { .. })
    }

    /// Its claim came too late to rely on, and is no attempt.
    fn was_not_begun(&mut self, now: Timestamp) {
        self.stage = Stage::due(now);
        self.attempt = self.attempt.saturating_sub(1);
        if self.attempt == 0 {
            self.first_claim = None;
        }
    }

    /// The most severe goes first, and of what is as severe the oldest.
    fn order(&self) -> (Reverse<u8>, Timestamp) {
        let severity = match &self.content {
            Content::Alert(event) => event.severity,
            Content::Brief(_) => 0,
        };
        (Reverse(severity), self.since)
    }

    /// Whether it waits for nothing any more.
    fn is_due(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make a wait longer.
        matches!(self.stage, Stage::Waiting { since, until } if now < since || until <= now)
    }

    fn is_of_brief(&self, id: &str) -> bool {
        matches!(&self.content, Content::Brief(due) if due.brief.id == id)
    }

    /// How long a brief is tried, which calls nobody: until the next one, that would tell its time too. One with a
    /// fallback first waits for the index, which is no failure of its channel.
    fn brief_until(&self, limits: &Limits) -> Option<Timestamp> {
        let Content::Brief(due) = &self.content else { return None };
        Some(match self.notification.fallback.is_empty() {
            true => due.brief.next_due(due.until),
            false => due.decided.plus_millis(PATIENCE_MS + limits.fallback_after_ms),
        })
    }

    fn is_late(&self, now: Timestamp) -> bool {
        now >= self.since.plus_millis(LATE_AFTER_MS)
    }

    /// What it may be told together with now. A brief is told by itself.
    fn bundle(&self, now: Timestamp) -> Option<Bundle> {
        self.digest(now).or_else(|| self.grouped())
    }

    /// What is late to the same people.
    fn digest(&self, now: Timestamp) -> Option<Bundle> {
        let Notification { to, .. } = &self.notification;
        let late = matches!(self.content, Content::Alert(_)) && to.is_read_by_people() && self.is_late(now);
        late.then(|| (to.clone(), None))
    }

    /// What it may be told together with while it is not late.
    fn grouped(&self) -> Option<Bundle> {
        let Notification { to, route, group_wait_s, .. } = &self.notification;
        let waits = *group_wait_s > 0 && matches!(self.content, Content::Alert(_));
        waits.then(|| (to.clone(), Some(route.clone())))
    }

    fn part(&self) -> Part {
        Part {
            notification: self.notification.clone(),
            content: self.content.clone(),
            instead_of: self.instead_of.clone(),
            over: self.over,
            in_hand: self.in_hand.clone(),
        }
    }

    fn listed(&self, key: &str, given_up: bool) -> Undelivered {
        Undelivered {
            key: key.to_owned(),
            alert: self.content.alert(),
            route: self.notification.route.clone(),
            channel: self.notification.to.name().to_owned(),
            since: self.content.decided(),
            attempts: self.attempt,
            error: self.error.clone(),
            given_up,
        }
    }
}

/// What the receiver asks for, within reason, or doubling from the first wait.
fn wait_ms(attempt: u32, after: Option<Duration>) -> i64 {
    match after {
        Some(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX).min(LONGEST_ASKED_MS),
        None => FIRST_WAIT_MS.saturating_mul(1 << (attempt.saturating_sub(1)).min(10)).min(LAST_WAIT_MS),
    }
}

fn delivery(key: &str, state: DeliveryState, attempt: u32, sender: &str, error: Option<String>) -> Delivery {
    Delivery {
        v: SchemaVersion::default(),
        key: key.to_owned(),
        state,
        attempt,
        sender: sender.to_owned(),
        error,
        out_of_time: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use earshot_common::events::Transition;
    use earshot_common::keys::AlertKey;

    use crate::delivery::tests::{MAIL_KEY, event};

    const DAY_S: i64 = 24 * 60 * 60;
    const LIMITS: Limits =
        Limits { claim_timeout_ms: 60_000, retry_for_ms: DAY_S * 1_000, fallback_after_ms: 120_000 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn ledger(sender: &str) -> Ledger {
        let mut ledger = Ledger::new(sender.to_owned(), LIMITS, at(0));
        ledger.expect(&event());
        ledger
    }

    fn claim(sender: &str, attempt: u32) -> Delivery {
        delivery(MAIL_KEY, DeliveryState::Sending, attempt, sender, None)
    }

    fn for_now() -> Result<(), Refused> {
        Err(Refused::for_now("busy"))
    }

    #[test]
    fn nothing_is_sent_before_the_claim_is_read_back() {
        let mut ledger = ledger("a");
        assert_eq!(ledger.claims(at(0)), [claim("a", 1)]);
        assert!(ledger.jobs(9, at(0)).is_empty() && ledger.claims(at(1)).is_empty());
        ledger.take(at(0), &claim("a", 1));
        assert_eq!(ledger.jobs(9, at(1)).len(), 1);
        assert!(ledger.jobs(9, at(1)).is_empty(), "one attempt at a time");
        let Outcome::Done(done) = ledger.settle(MAIL_KEY, Ok(()), at(2)) else { panic!("it is done") };
        assert_eq!(done.state, DeliveryState::Delivered);
        ledger.take(at(2), &done);
        assert!(ledger.claims(at(9_999)).is_empty());
        assert_eq!(ledger.listing(at(2)), []);
    }

    #[test]
    fn a_message_is_listed_until_it_is_taken_and_for_a_day_after_it_was_given_up() {
        let mut ledger = ledger("a");
        let waiting = ledger.listing(at(0)).remove(0);
        assert_eq!(
            (waiting.key.as_str(), waiting.route.as_str(), waiting.channel.as_str()),
            (MAIL_KEY, "comms", "mail")
        );
        assert_eq!((waiting.since, waiting.attempts, waiting.error), (event().decided, 0, None));

        ledger.claims(at(0));
        ledger.take(at(0), &claim("a", 1));
        ledger.jobs(9, at(0));
        ledger.settle(MAIL_KEY, for_now(), at(0));
        let tried = ledger.listing(at(1)).remove(0);
        assert_eq!((tried.attempts, tried.error.as_deref(), tried.given_up), (1, Some("busy"), false));

        // Somebody else learns it from the next claim.
        let mut standby = self::ledger("b");
        standby.take(at(5), &ledger.claims(at(5))[0]);
        let heard = standby.listing(at(6)).remove(0);
        assert_eq!((heard.attempts, heard.error.as_deref()), (2, Some("busy")));

        let failed = delivery(MAIL_KEY, DeliveryState::Failed, 7, "a", Some("no such mailbox".to_owned()));
        ledger.take(at(900), &failed);
        let given_up = ledger.listing(at(901)).remove(0);
        assert_eq!((given_up.attempts, given_up.error.as_deref()), (7, Some("no such mailbox")));
        assert!(given_up.given_up);
        assert_eq!(ledger.listing(at(900 + 24 * 60 * 60)), []);
    }

    #[test]
    fn the_first_claim_in_the_log_owns_the_message_and_an_old_one_is_taken_over() {
        let (mut a, mut b) = (ledger("a"), ledger("b"));
        let claims = [a.claims(at(0)).remove(0), b.claims(at(0)).remove(0)];
        for (second, claim) in (0..).zip(&claims) {
            a.take(at(second), claim);
            b.take(at(second), claim);
        }
        assert_eq!((a.jobs(9, at(1)).len(), b.jobs(9, at(1)).len()), (1, 0));
        // The first one dies. Its claim lasts a minute.
        assert!(b.claims(at(59)).is_empty());
        let taken_over = b.claims(at(60)).remove(0);
        b.take(at(60), &taken_over);
        assert_eq!(b.jobs(9, at(60)).len(), 1);
        // It was not dead: what it writes now no longer owns the message.
        b.take(at(61), &claim("a", 2));
        a.take(at(60), &taken_over);
        a.take(at(61), &claim("a", 2));
        assert!(a.jobs(9, at(61)).is_empty());
    }

    #[test]
    fn what_is_refused_for_now_waits_longer_each_time_until_it_is_given_up() {
        let mut ledger = ledger("a");
        let mut now = 0;
        let mut waits = Vec::new();
        loop {
            let claims = ledger.claims(at(now));
            let Some(claim) = claims.first() else {
                now += 1;
                continue;
            };
            waits.push(now);
            ledger.take(at(now), claim);
            ledger.jobs(9, at(now));
            if let Outcome::Done(done) = ledger.settle(MAIL_KEY, for_now(), at(now)) {
                assert_eq!(done.state, DeliveryState::Failed);
                assert_eq!(done.error.unwrap(), format!("given up after {} attempts: busy", waits.len()));
                break;
            }
        }
        assert_eq!(waits[..7], [0, 5, 15, 35, 75, 155, 275]);
        assert!(waits.windows(2).all(|two| two[1] - two[0] <= 120), "{waits:?}");
        assert_eq!(waits.last(), Some(&86_315), "275 and 717 times 120: the next would be after a day");
    }

    /// Lives through these seconds with a receiver that takes messages from `up` on. Answers what it took.
    fn taken(ledger: &mut Ledger, seconds: std::ops::Range<i64>, up: i64) -> Vec<(i64, Job)> {
        let mut taken = Vec::new();
        for second in seconds {
            claim_all(ledger, at(second));
            for job in ledger.jobs(9, at(second)) {
                let result = if second < up { for_now() } else { Ok(()) };
                for key in job.keys() {
                    if let Outcome::Done(done) = ledger.settle(&key, result.clone(), at(second)) {
                        ledger.take(at(second), &done);
                    }
                }
                if second >= up {
                    taken.push((second, job));
                }
            }
        }
        taken
    }

    #[test]
    fn after_an_outage_of_twenty_minutes_all_that_waited_comes_as_one_message() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        [0, 50, 200].into_iter().for_each(|n| ledger.expect(&alert(n, 0, &[])));
        let taken = taken(&mut ledger, 0..1_500, 1_200);
        let told: Vec<(usize, bool)> = taken.iter().map(|(_, job)| (job.parts.len(), job.late)).collect();
        assert_eq!(told, [(3, true)]);
        assert!(taken[0].0 <= 1_320, "two minutes at most after it is back: {}", taken[0].0);
        assert_eq!(ledger.listing(at(1_500)), []);
    }

    #[test]
    fn the_time_in_which_the_program_did_not_run_gives_no_message_up() {
        // Claimed at a minute past by one that died then; this one starts twenty minutes later.
        let mut ledger = Ledger::new("b".to_owned(), LIMITS, at(1_200));
        let event = alert(0, 0, &[Channel::Slack("newsroom".to_owned())]);
        ledger.expect(&event);
        ledger.take(at(60), &delivery(&event.notify[0].key, DeliveryState::Sending, 1, "a", None));
        assert_eq!(taken(&mut ledger, 1_200..1_300, 1_205).len(), 1);
    }

    #[test]
    fn a_receiver_that_asks_for_an_hour_is_asked_again_after_ten_minutes() {
        let mut ledger = ledger("a");
        claim_all(&mut ledger, at(0));
        ledger.jobs(9, at(0));
        let refused = Refused::ForNow { error: "busy".to_owned(), after: Some(Duration::from_secs(3_600)) };
        assert_eq!(ledger.settle(MAIL_KEY, Err(refused), at(0)), Outcome::Later);
        assert_eq!((ledger.claims(at(599)).len(), ledger.claims(at(600)).len()), (0, 1));
    }

    #[test]
    fn a_claim_that_is_read_back_too_late_is_made_again() {
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(0));
        ledger.take(at(0), &claims[0]);
        assert!(ledger.jobs(9, at(60)).is_empty(), "somebody else may have taken it over");
        assert_eq!(ledger.claims(at(60)), [claim("a", 1)], "what was not begun is no attempt");
    }

    #[test]
    fn a_clock_that_is_set_back_or_another_than_the_logs_stops_nothing() {
        const HOUR_S: i64 = 3_600;
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(2 * HOUR_S));
        // The log's clock is an hour behind ours.
        ledger.take(at(HOUR_S), &claims[0]);
        assert_eq!(ledger.jobs(9, at(2 * HOUR_S)).len(), 1);
        assert_eq!(ledger.settle(MAIL_KEY, for_now(), at(2 * HOUR_S)), Outcome::Later);
        // Ours is set back: the message does not wait until it shows the time again that it showed.
        let again = ledger.claims(at(HOUR_S));
        assert_eq!(again.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_claim_is_made_again_where_our_clock_was_set_back_since() {
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(9_000));
        ledger.take(at(9_000), &claims[0]);
        assert!(ledger.jobs(9, at(5_400)).is_empty(), "it may be a minute old or an hour");
        assert_eq!(ledger.claims(at(5_400)), [claim("a", 1)]);
    }

    #[test]
    fn the_claim_of_a_dead_sender_is_taken_over_though_our_clock_is_an_hour_behind() {
        let mut ledger = ledger("b");
        ledger.take(at(7_200), &claim("a", 1));
        assert!(ledger.claims(at(3_601)).is_empty());
        // The log goes on: enrichment tells its progress every five seconds.
        ledger.note_time(at(7_259));
        assert!(ledger.claims(at(3_659)).is_empty());
        ledger.note_time(at(7_260));
        let claims = ledger.claims(at(3_660));
        ledger.take(at(7_260), &claims[0]);
        assert_eq!(ledger.jobs(9, at(3_660)).len(), 1);
    }

    #[test]
    fn a_claim_that_the_log_refuses_is_not_made_again_at_once() {
        // Our clock is an hour ahead: what another has claimed just now looks old.
        let mut ledger = ledger("b");
        ledger.take(at(0), &claim("a", 1));
        let claims = ledger.claims(at(3_600));
        assert_eq!(claims.len(), 1);
        ledger.take(at(1), &claims[0]);
        assert!(ledger.jobs(9, at(3_601)).is_empty() && ledger.claims(at(3_601)).is_empty());
        assert_eq!(ledger.claims(at(3_605)).len(), 1);
    }

    #[test]
    fn of_two_who_send_the_one_that_delivers_counts_and_one_whose_claim_was_taken_over_gives_nothing_up() {
        let (mut a, mut b) = (ledger("a"), ledger("b"));
        let take = |ledgers: [&mut Ledger; 2], second, delivery: &Delivery| {
            ledgers.into_iter().for_each(|ledger| ledger.take(at(second), delivery));
        };
        let first = a.claims(at(0)).remove(0);
        take([&mut a, &mut b], 0, &first);
        assert_eq!(a.jobs(9, at(0)).len(), 1);
        // It answers late, and meanwhile another takes the message over.
        let second = b.claims(at(60)).remove(0);
        take([&mut a, &mut b], 60, &second);
        assert_eq!(b.jobs(9, at(60)).len(), 1);
        let refused = Err(Refused::ForGood { error: "no such mailbox".to_owned() });
        let Outcome::Done(failed) = a.settle(MAIL_KEY, refused, at(61)) else { panic!("it is written") };
        take([&mut a, &mut b], 61, &failed);
        assert!(!a.listing(at(62))[0].given_up && !b.listing(at(62))[0].given_up);
        // The second one's success stands, and nobody sends again.
        let Outcome::Done(delivered) = b.settle(MAIL_KEY, Ok(()), at(63)) else { panic!("it is written") };
        take([&mut a, &mut b], 63, &delivered);
        for ledger in [&mut a, &mut b] {
            assert!(ledger.claims(at(9_999)).is_empty());
            assert_eq!(ledger.listing(at(9_999)), []);
        }
    }

    #[test]
    fn a_send_that_succeeds_late_ends_the_message_also_for_whoever_took_it_over() {
        let (mut a, mut b) = (ledger("a"), ledger("b"));
        let first = a.claims(at(0)).remove(0);
        [&mut a, &mut b].into_iter().for_each(|ledger| ledger.take(at(0), &first));
        a.jobs(9, at(0));
        let second = b.claims(at(60)).remove(0);
        [&mut a, &mut b].into_iter().for_each(|ledger| ledger.take(at(60), &second));
        let Outcome::Done(delivered) = a.settle(MAIL_KEY, Ok(()), at(61)) else { panic!("it is written") };
        [&mut a, &mut b].into_iter().for_each(|ledger| ledger.take(at(61), &delivered));
        // It was not sent twice: the log said so before the second one began.
        assert!(b.jobs(9, at(62)).is_empty() && b.claims(at(9_999)).is_empty());
    }

    #[test]
    fn the_receiver_may_say_when_to_come_again() {
        let mut ledger = ledger("a");
        let claims = ledger.claims(at(0));
        ledger.take(at(0), &claims[0]);
        ledger.jobs(9, at(0));
        let refused = Refused::ForNow { error: "busy".to_owned(), after: Some(Duration::from_secs(40)) };
        assert_eq!(ledger.settle(MAIL_KEY, Err(refused), at(0)), Outcome::Later);
        assert!(ledger.claims(at(39)).is_empty());
        assert_eq!(ledger.claims(at(40)).len(), 1);
    }

    /// Alert number `n`, told by mail, with this wait for others and this fallback.
    fn alert(n: u32, group_wait_s: u32, fallback: &[Channel]) -> AlertEvent {
        let mut event = event();
        event.alert = AlertKey::of(&[&n.to_string()]);
        event.decided = at(i64::from(n));
        let notification = &mut event.notify[0];
        notification.key = format!("{}/1/mail/comms@harbor.example", event.alert);
        notification.group_wait_s = group_wait_s;
        for to in fallback {
            let key = format!("{}/instead/{}", notification.key, to.name());
            let instead = Notification { key, to: to.clone(), fallback: Vec::new(), ..notification.clone() };
            notification.fallback.push(instead);
        }
        event
    }

    /// Lets the claims that are due now be written and read back.
    fn claim_all(ledger: &mut Ledger, now: Timestamp) -> usize {
        let claims = ledger.claims(now);
        claims.iter().for_each(|claim| ledger.take(now, claim));
        claims.len()
    }

    #[test]
    fn a_webhook_hears_of_the_end_after_the_beginning() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        let mut opened = alert(0, 0, &[]);
        opened.notify[0].to = Channel::Webhook("pager".to_owned());
        let mut resolved = opened.clone();
        (resolved.sequence, resolved.transition) = (2, Transition::Resolved);
        // Earlier by its key.
        resolved.notify[0].key = "0".to_owned();
        [opened, resolved].iter().for_each(|event| ledger.expect(event));
        let told: Vec<(i64, Transition)> = taken(&mut ledger, 0..60, 10)
            .into_iter()
            .map(|(second, job)| match &job.parts[0].content {
                Content::Alert(event) => (second, event.transition),
                Content::Brief(_) => panic!("it is no brief"),
            })
            .collect();
        assert_eq!(told, [(15, Transition::Opened), (16, Transition::Resolved)]);
    }

    #[test]
    fn a_receiver_that_hangs_leaves_room_for_the_others_and_the_most_severe_goes_first() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        for n in 0..100 {
            let mut event = alert(n, 0, &[]);
            event.severity = if n == 90 { 9 } else { 5 };
            event.notify[0].to = Channel::Webhook(if n == 99 { "other" } else { "hangs" }.to_owned());
            ledger.expect(&event);
        }
        assert_eq!(claim_all(&mut ledger, at(100)), 5);
        let began: Vec<i64> = ledger.jobs(64, at(100)).iter().map(|job| second(job.decided())).collect();
        assert_eq!(began, [90, 0, 1, 2, 99]);
        assert_eq!(claim_all(&mut ledger, at(130)), 0, "until one of them has ended");
        let waiting = ledger.listing(at(130)).iter().filter(|listed| listed.attempts == 0).count();
        assert_eq!(waiting, 95);
    }

    fn second(at: Option<Timestamp>) -> i64 {
        at.unwrap().as_millis() / 1_000
    }

    #[test]
    fn alerts_of_a_route_that_wait_for_each_other_are_told_in_one_message() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        ledger.expect(&alert(1, 30, &[]));
        assert_eq!(claim_all(&mut ledger, at(2)), 0);
        ledger.expect(&alert(20, 30, &[]));
        assert_eq!(claim_all(&mut ledger, at(30)), 0, "the first waits for thirty seconds");
        let claims = ledger.claims(at(31));
        assert_eq!(claims.len(), 2);
        ledger.take(at(31), &claims[0]);
        assert!(ledger.jobs(9, at(31)).is_empty(), "until all claims are read back");
        ledger.take(at(31), &claims[1]);
        let jobs = ledger.jobs(9, at(31));
        assert_eq!((jobs.len(), jobs[0].parts.len(), jobs[0].late), (1, 2, false));
        for key in jobs[0].keys() {
            assert!(matches!(ledger.settle(&key, Ok(()), at(32)), Outcome::Done(_)));
        }
        ledger.expect(&alert(40, 30, &[]));
        assert_eq!(claim_all(&mut ledger, at(69)), 0, "another group");
        assert_eq!(claim_all(&mut ledger, at(70)), 1);
    }

    #[test]
    fn what_is_late_is_told_in_one_message_that_says_what_is_over() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        (1..=3).for_each(|n| ledger.expect(&alert(n, 0, &[])));
        let mut over = alert(2, 0, &[]);
        over.transition = Transition::Resolved;
        over.notify.clear();
        ledger.expect(&over);
        claim_all(&mut ledger, at(902));
        let jobs = ledger.jobs(9, at(902));
        let mut sizes: Vec<(usize, bool)> = jobs.iter().map(|job| (job.parts.len(), job.late)).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [(1, false), (2, true)], "the third is not a quarter of an hour old");
        let over: Vec<bool> = jobs.iter().flat_map(|job| &job.parts).map(|part| part.over).collect();
        assert_eq!(over.iter().filter(|over| **over).count(), 1);
    }

    #[test]
    fn who_is_called_late_learns_who_has_the_alert_in_hand_by_then() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        let mut called = alert(0, 0, &[]);
        called.transition = Transition::Escalated;
        ledger.expect(&called);
        let mut taken_in_hand = called.clone();
        (taken_in_hand.sequence, taken_in_hand.transition) = (2, Transition::Acknowledged);
        taken_in_hand.notify.clear();
        taken_in_hand.acknowledged = Some(earshot_common::events::Acknowledgement {
            by: "ann".to_owned(),
            since: at(5),
            until: None,
            assessed_after_ms: None,
        });
        ledger.expect(&taken_in_hand);
        let (_, job) = taken(&mut ledger, 0..60, 10).remove(0);
        assert_eq!(job.parts[0].in_hand.as_deref(), Some("ann"));
    }

    #[test]
    fn a_message_that_fails_is_told_over_its_fallback_also_after_a_restart() {
        let slack = Channel::Slack("newsroom".to_owned());
        let failing = |n| alert(n, 0, std::slice::from_ref(&slack));
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        (1..=2).for_each(|n| ledger.expect(&failing(n)));
        let mut log = Vec::new();
        let mut now = 2;
        while log.len() < 2 {
            claim_all(&mut ledger, at(now));
            for job in ledger.jobs(9, at(now)) {
                if let Outcome::Done(failed) = ledger.settle(&job.keys()[0], for_now(), at(now)) {
                    log.push(failed);
                }
            }
            now += 1;
        }
        assert!((60..=122).contains(&now), "it does not wait a quarter of an hour: {now}");
        log.iter().for_each(|failed| ledger.take(at(now), failed));
        let mut restarted = Ledger::new("b".to_owned(), LIMITS, at(0));
        (1..=2).for_each(|n| restarted.expect(&failing(n)));
        log.iter().for_each(|failed| restarted.take(at(now), failed));
        for mut ledger in [ledger, restarted] {
            assert_eq!(claim_all(&mut ledger, at(now + 5)), 2);
            let jobs = ledger.jobs(9, at(now + 5));
            assert_eq!(
                (jobs.len(), &jobs[0].to, jobs[0].parts.len()),
                (1, &slack, 2),
                "one message for both"
            );
            let said = jobs[0].parts[0].instead_of.clone().unwrap();
            assert!(said.contains("mail to comms@harbor.example") && said.contains("busy"), "{said}");
            // What is written of the two settles them.
            for key in jobs[0].keys() {
                let Outcome::Done(done) = ledger.settle(&key, Ok(()), at(now + 6)) else { panic!("done") };
                ledger.take(at(now + 6), &done);
            }
            assert_eq!(claim_all(&mut ledger, at(9_999)), 0);
        }
    }

    #[test]
    fn a_message_is_tried_again_where_those_in_its_place_are_refused_for_good() {
        let event = alert(0, 0, &[Channel::Slack("newsroom".to_owned()), Channel::Log]);
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        ledger.expect(&event);
        let mut log: Vec<(Timestamp, Delivery)> = Vec::new();
        let mut mailed = None;
        for second in 0..600 {
            for claim in ledger.claims(at(second)) {
                ledger.take(at(second), &claim);
                log.push((at(second), claim));
            }
            for job in ledger.jobs(9, at(second)) {
                let result = match job.to {
                    Channel::Mail(_) if second >= 300 => Ok(()),
                    Channel::Mail(_) => for_now(),
                    _ => Err(Refused::ForGood { error: "no such channel".to_owned() }),
                };
                mailed = mailed.or(result.is_ok().then_some(second));
                if let Outcome::Done(done) = ledger.settle(&job.keys()[0], result, at(second)) {
                    ledger.take(at(second), &done);
                    log.push((at(second), done));
                }
            }
        }
        assert!(mailed.is_some_and(|second| second <= 420), "{mailed:?}");
        assert!(ledger.listing(at(600)).iter().all(|listed| listed.channel != "mail"));
        // A start in the middle goes on the same, by the log and by a snapshot, which tells of one message after the other.
        let until = at(299);
        log.retain(|(appended, _)| *appended <= until);
        let mut by_message = log.clone();
        by_message.sort_by_key(|(_, delivery)| delivery.key.len());
        for log in [log, by_message] {
            let mut restarted = Ledger::new("b".to_owned(), LIMITS, until);
            restarted.expect(&event);
            log.iter().for_each(|(appended, delivery)| restarted.take(*appended, delivery));
            let mail = taken(&mut restarted, 300..600, 300);
            assert_eq!(mail.len(), 1, "the mail alone, once");
        }
    }

    /// The brief that was due in this hour of 1 January 1970, to one address.
    fn due(hour: i64) -> (DueBrief, String) {
        let key = format!("brief/daily/{hour}/mail/board@harbor.example");
        let json = format!(
            r#"{{"brief":{{"id":"daily","to":"board","subjects":["harbor"],"every":"day","at":"07:30"}},
            "from":"1970-01-01T00:00:00Z","until":"1970-01-01T{hour:02}:00:00Z","decided":"1970-01-01T{hour:02}:00:00Z",
            "notify":[{{"key":"{key}","route":"board","to":{{"channel":"mail","address":"board@harbor.example"}}}}]}}"#
        );
        (serde_json::from_str(&json).unwrap(), key)
    }

    #[test]
    fn a_brief_is_told_by_itself_and_takes_the_place_of_one_that_nobody_got() {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        let ((first, old), (second, new)) = (due(1), due(2));
        assert!(ledger.expect_brief(&first) && !ledger.expect_brief(&first));
        assert_eq!(ledger.listing(at(3_600))[0].alert, None);
        assert!(ledger.expect_brief(&second));
        // Late as it is, it is not told together with the alert that is late too.
        ledger.expect(&event());
        let now = at(i64::from(u32::MAX));
        let claims = ledger.claims(now);
        let keys: Vec<&str> = claims.iter().map(|claim| claim.key.as_str()).collect();
        assert_eq!(keys, [MAIL_KEY, new.as_str()]);
        for claim in &claims {
            ledger.take(now, claim);
        }
        let jobs = ledger.jobs(9, now);
        assert_eq!(jobs.iter().map(Job::keys).collect::<Vec<_>>(), [[MAIL_KEY], [new.as_str()]]);
        assert_eq!(jobs[1].brief().unwrap().until, second.until);
        // One that is being sent ends as it ends.
        assert!(ledger.expect_brief(&due(3).0));
        assert!(matches!(ledger.settle(&new, Ok(()), now), Outcome::Done(_)));
        assert!(matches!(ledger.settle(&old, Ok(()), now), Outcome::Later), "it is known no longer");
    }

    /// When a brief is given up that nobody takes from its time on.
    fn given_up_at(due: &DueBrief, key: &str) -> Timestamp {
        let mut ledger = Ledger::new("a".to_owned(), LIMITS, at(0));
        ledger.expect_brief(due);
        let mut now = due.decided;
        loop {
            claim_all(&mut ledger, now);
            for _ in ledger.jobs(9, now) {
                if let Outcome::Done(done) = ledger.settle(key, for_now(), now) {
                    assert_eq!(done.state, DeliveryState::Failed);
                    return now;
                }
            }
            now = now.plus_millis(1_000);
        }
    }

    #[test]
    fn a_brief_is_tried_until_the_next_one_and_its_fallback_waits_for_the_index() {
        // Due at one in the morning; the next is due at half past seven. Attempts are two minutes apart at last.
        let (mut due, key) = due(1);
        let hour = 60 * 60;
        let given_up = given_up_at(&due, &key);
        assert!((at(7 * hour + 28 * 60)..=at(7 * hour + 30 * 60)).contains(&given_up), "{given_up}");
        // The index may be silent for ten minutes, and the channel then for two.
        let slack = Channel::Slack("newsroom".to_owned());
        let instead = Notification { to: slack, fallback: Vec::new(), ..due.notify[0].clone() };
        due.notify[0].fallback = vec![instead];
        let given_up = given_up_at(&due, &key);
        assert!((at(hour + 10 * 60)..=at(hour + 12 * 60)).contains(&given_up), "{given_up}");
    }

    #[test]
    fn what_the_log_says_is_done_is_not_sent_after_a_restart() {
        let mut ledger = ledger("b");
        ledger.take(at(0), &claim("a", 1));
        ledger.take(at(1), &delivery(MAIL_KEY, DeliveryState::Delivered, 1, "a", None));
        assert!(ledger.claims(at(9_999)).is_empty());
    }
}
