//! What people say about alerts: who has one in hand, what is muted, and whether it was worth the attention.
//!
//! A word is taken once, by its id, in the order of the log: of two people who want an alert at the same time the
//! first one there has it, and the second one's record says who does. The log's clock (append time) ends what holds
//! for a time. What belongs here: the account of it. Whom that keeps from being told is decided in [`super::State`].

use std::collections::{BTreeMap, BTreeSet};

use earshot_common::events::{
    Acknowledgement, COMMANDS_AFTER_END_MS, Command, CommandKind, Transition, Word,
};
use earshot_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calendar::DAY_MS;

/// A mute that names no end lasts a day.
const MUTE_MS: i64 = DAY_MS;

/// What people said about one alert.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct People {
    /// Who has it in hand.
    pub(crate) acknowledged: Option<Acknowledgement>,
    /// Until when nobody is told of it.
    pub(crate) muted_until: Option<Timestamp>,
    /// Whether anybody ever had it in hand.
    assessed: bool,
    /// Each person's newest verdict.
    verdicts: BTreeMap<String, CommandKind>,
}

impl People {
    /// Takes a word in and says what it comes to. `opened` is when the alert opened, by the log's clock.
    pub(crate) fn take(&mut self, command: &Command, opened: Timestamp, now: Timestamp) -> Transition {
        match command.what {
            CommandKind::Acknowledge => self.acknowledge(command, opened, now),
            CommandKind::Mute | CommandKind::MuteRule => {
                self.muted_until = Some(mute_end(command, now));
                Transition::Muted
            }
            CommandKind::Release if self.acknowledged.take().is_some() => Transition::Lapsed,
            CommandKind::Unmute | CommandKind::UnmuteRule if self.muted_until.take().is_some() => {
                Transition::Unmuted
            }
            // What holds already is a note: nobody is called.
            CommandKind::Note | CommandKind::Release | CommandKind::Unmute | CommandKind::UnmuteRule => {
                Transition::Noted
            }
            CommandKind::Useful | CommandKind::Noise => Transition::Rated,
        }
    }

    /// Whoever has it may say for how long again; anybody else is told that it is taken.
    fn acknowledge(&mut self, command: &Command, opened: Timestamp, now: Timestamp) -> Transition {
        if self.acknowledged.as_ref().is_some_and(|held| held.by != command.by) {
            return Transition::Declined;
        }
        let since = self.acknowledged.as_ref().map_or(now, |held| held.since);
        let first = !self.assessed;
        self.assessed = true;
        self.acknowledged = Some(Acknowledgement {
            by: command.by.clone(),
            since,
            until: command.until,
            assessed_after_ms: first.then(|| (now.as_millis() - opened.as_millis()).max(0)),
        });
        Transition::Acknowledged
    }

    /// The alert was over: who had it in hand for no other time has it no longer.
    pub(crate) fn end_with_the_alert(&mut self) {
        self.acknowledged.take_if(|held| held.until.is_none());
    }

    /// The verdict that a person's word replaces.
    pub(crate) fn rate(&mut self, command: &Command) -> Option<CommandKind> {
        self.verdicts.insert(command.by.clone(), command.what)
    }

    /// Whether nobody is to be told of it at this time.
    pub(crate) fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| until > now)
    }

    /// When the next of it ends.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        let acknowledged = self.acknowledged.as_ref().and_then(|held| held.until);
        acknowledged.into_iter().chain(self.muted_until).min()
    }

    /// Ends one thing that held until now, if any is left.
    pub(crate) fn end(&mut self, now: Timestamp) -> Option<Transition> {
        if self.muted_until.is_some_and(|until| until <= now) {
            self.muted_until = None;
            return Some(Transition::Unmuted);
        }
        let until = self.acknowledged.as_ref().and_then(|held| held.until);
        if until.is_some_and(|until| until <= now) {
            self.acknowledged = None;
            return Some(Transition::Lapsed);
        }
        None
    }
}

/// Until when a mute holds.
pub(crate) fn mute_end(command: &Command, now: Timestamp) -> Timestamp {
    command.until.unwrap_or_else(|| now.plus_millis(MUTE_MS))
}

/// A command as the record of its transition carries it.
pub(crate) fn word(command: &Command) -> Word {
    Word {
        command: command.id.clone(),
        what: command.what,
        by: command.by.clone(),
        note: command.note.clone(),
        until: command.until,
    }
}

/// How often alerts of a rule were worth the attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Feedback {
    /// Verdicts that they were.
    pub(crate) useful: u32,
    /// Verdicts that they were not.
    pub(crate) noise: u32,
}

impl Feedback {
    /// Counts a verdict, in the place of the one that the same person gave before.
    pub(crate) fn count(&mut self, verdict: CommandKind, before: Option<CommandKind>) {
        if let Some(before) = before {
            let known = self.of(before);
            *known = known.saturating_sub(1);
        }
        *self.of(verdict) += 1;
    }

    fn of(&mut self, verdict: CommandKind) -> &mut u32 {
        if verdict == CommandKind::Useful { &mut self.useful } else { &mut self.noise }
    }
}

/// The commands that were taken, so that a second delivery of one is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Commands {
    ids: BTreeSet<String>,
    by_age: BTreeSet<(Timestamp, String)>,
}

impl Commands {
    /// Takes the id of an alert's command in. Answers whether it is new.
    pub(crate) fn is_new(&mut self, id: &str, now: Timestamp) -> bool {
        while let Some((taken, old)) = self.by_age.first()
            && taken.plus_millis(COMMANDS_AFTER_END_MS) < now
        {
            self.ids.remove(old);
            self.by_age.pop_first();
        }
        let new = self.ids.insert(id.to_owned());
        if new {
            self.by_age.insert((now, id.to_owned()));
        }
        new
    }
}
