//! Commands of people, as the fold carries them out: once each, in the order of the log.

use earshot_common::definitions::Route;
use earshot_common::events::{AlertEvent, Command, CommandKind, Transition};
use earshot_common::keys::AlertKey;

use super::State;
use super::alert::{DecidedBy, OpenAlert};
use super::people::{mute_end, word};
use super::telling::Called;

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
            self.subjects.get_mut(&subject)?.rules[rule].open = Some(alert);
            return self.record(&subject, rule, transition, Called::default(), Some(word(command)));
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
            CommandKind::MuteRule => {
                self.muted.retain(|_, until| *until > now);
                self.muted.insert((rule.to_owned(), subject.to_owned()), mute_end(command, now));
            }
            CommandKind::Useful | CommandKind::Noise => {
                let before = alert.people.rate(command);
                self.feedback.entry(rule.to_owned()).or_default().count(command.what, before);
            }
            CommandKind::Acknowledge | CommandKind::Mute | CommandKind::Note => {}
        }
        alert.people.take(command, alert.opened_in_log, now)
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
