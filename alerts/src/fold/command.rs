//! Commands of people, as the fold carries them out: once each, in the order of the log.

use earshot_common::definitions::Route;
use earshot_common::events::{AlertEvent, Command, CommandKind, Transition};
use earshot_common::keys::AlertKey;
use earshot_common::time::Timestamp;

use super::State;
use super::alert::{DecidedBy, OpenAlert};
use super::people::{mute_end, word};
use super::telling::{Call, Called};

impl State {
    /// What a person said about an alert that is open, or was not long ago. Each word is taken once.
    pub(super) fn command(&mut self, command: &Command) -> Option<AlertEvent> {
        let id = format!("{}/{}", command.alert, command.id);
        if !self.commands.is_new(&id, self.cause.appended) {
            return None;
        }
        if let Some((subject, rule)) = self.open_as(command.alert) {
            let watch = &mut self.subjects.get_mut(&subject)?.rules[rule];
            let (id, mut alert) = (watch.rule.id.clone(), watch.open.take()?);
            let transition = self.take_word(command, &id, &subject, &mut alert);
            let ended = matches!(transition, Transition::Lapsed | Transition::Unmuted);
            if ended {
                alert.told = None;
            }
            self.subjects.get_mut(&subject)?.rules[rule].open = Some(alert);
            let called = if ended { self.call(&subject, rule, Call::First) } else { Called::default() };
            return self.record(&subject, rule, transition, called, Some(word(command)));
        }
        let unheard = self.unheard();
        let mut over = self.over.remove(&command.alert)?;
        let transition = self.take_word(command, &over.rule.id, &over.subject, &mut over.alert);
        let decided_by = DecidedBy {
            rule: &over.rule,
            version: over.version,
            subject: &over.subject,
            historic: self.historic,
            unheard: &unheard,
            tell: Vec::new(),
            addresses: Route::channels,
            passed_over: Vec::new(),
            unrouted: false,
            word: Some(word(command)),
        };
        let event = over.alert.transition(transition, &decided_by, &mut self.cause);
        self.over.insert(command.alert, over);
        Some(event)
    }

    /// What a word comes to for the alert, and beside it for the rule.
    fn take_word(
        &mut self,
        command: &Command,
        rule: &str,
        subject: &str,
        alert: &mut OpenAlert,
    ) -> Transition {
        let now = self.cause.appended;
        match command.what {
            CommandKind::MuteRule => self.mute_rule(rule, subject, mute_end(command, now)),
            CommandKind::UnmuteRule => self.unmute_rule(rule, subject),
            CommandKind::Useful | CommandKind::Noise => {
                let before = alert.people.rate(command);
                self.feedback.entry(rule.to_owned()).or_default().count(command.what, before);
            }
            CommandKind::Acknowledge
            | CommandKind::Release
            | CommandKind::Mute
            | CommandKind::Unmute
            | CommandKind::Note => {}
        }
        let transition = alert.people.take(command, alert.opened_in_log, now);
        if transition == Transition::Muted {
            let rule_muted_until = self.rule_muted_until(rule, subject);
            alert.people.muted_until = alert.people.muted_until.max(rule_muted_until);
        }
        transition
    }

    /// Nobody is told of a rule's alerts about a subject until then, also of the one that is open.
    fn mute_rule(&mut self, rule: &str, subject: &str, until: Timestamp) {
        let now = self.cause.appended;
        self.muted.retain(|_, until| *until > now);
        self.muted.insert((rule.to_owned(), subject.to_owned()), until);
        if let Some(open) = self.open_of(rule, subject) {
            open.people.muted_until = open.people.muted_until.max(Some(until));
        }
    }

    /// People are told of a rule's alerts about a subject again. The mute of the one that is open ends with the next record.
    fn unmute_rule(&mut self, rule: &str, subject: &str) {
        let now = self.cause.appended;
        self.muted.remove(&(rule.to_owned(), subject.to_owned()));
        if let Some(open) = self.open_of(rule, subject) {
            open.people.muted_until = open.people.muted_until.map(|until| until.min(now));
        }
    }

    /// Until when a rule is muted for a subject, where it is.
    pub(super) fn rule_muted_until(&self, rule: &str, subject: &str) -> Option<Timestamp> {
        let until = self.muted.get(&(rule.to_owned(), subject.to_owned())).copied();
        until.filter(|until| *until > self.cause.appended)
    }

    fn open_of(&mut self, rule: &str, subject: &str) -> Option<&mut OpenAlert> {
        let rules = &mut self.subjects.get_mut(subject)?.rules;
        rules.iter_mut().find(|watch| watch.rule.id == rule)?.open.as_mut()
    }

    /// Where the alert of this key is open.
    fn open_as(&self, key: AlertKey) -> Option<(String, usize)> {
        for (id, watched) in &self.subjects {
            for (rule, watch) in watched.rules.iter().enumerate() {
                if watch.open.as_ref().is_some_and(|open| open.key == key) {
                    return Some((id.clone(), rule));
                }
            }
        }
        None
    }
}
