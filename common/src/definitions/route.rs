//! Routes: who hears of an alert, how, and of which alerts.
//!
//! What belongs here: a route, and whether it takes an alert: a pure function of the alert and of the time. Which
//! routes are asked is said by rules; whether there is anything to tell, by the fold of alerts.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Search;
use super::file::check_zone;
use super::rule::MOST_SEVERE;
use super::telling::{Hours, TOLD_AT_ANY_HOUR};
use crate::events::{Channel, DESKS};
use crate::time::Timestamp;

/// A longer wait would keep an alert from people for longer than a failing channel may.
const MOST_GROUP_WAIT_S: u32 = 600;

/// Who hears of an alert or reads a brief, how, and of which alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Short and stable; rules and briefs name the route by it.
    pub id: String,
    /// E-mail addresses.
    #[serde(default)]
    pub mail: Vec<String>,
    /// Names of webhooks in the settings, section `alerts.webhooks`.
    #[serde(default)]
    pub webhook: Vec<String>,
    /// Names of Slack webhooks in the settings, section `alerts.slack`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slack: Vec<String>,
    /// Names of Microsoft Teams workflows in the settings, section `alerts.teams`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Names of Prometheus Alertmanagers in the settings, section `alerts.alertmanagers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alertmanager: Vec<String>,
    /// Whether the service's log says it too.
    #[serde(default)]
    pub log: bool,
    /// Id of the route that is told instead of each address that cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Seconds that people's messages wait for further alerts of this route, to tell all in one; none by default.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub group_wait_s: u32,
    /// Ids of the subjects whose alerts it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// Ids of the searches whose alerts it takes; with [`Self::subjects`] those of either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub searches: Vec<String>,
    /// It takes alerts of this severity or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_at_least: Option<u8>,
    /// It takes alerts of this severity or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_at_most: Option<u8>,
    /// It takes alerts that are for one of these desks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub desks: Vec<String>,
    /// What is less severe than [`TOLD_AT_ANY_HOUR`] waits for these hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Hours>,
    /// The zone of the schedule (IANA name); without it that of the rule's readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An alert, as far as a route asks.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its subject, or its search as a subject.
    pub subject: &'a str,
    /// Its severity.
    pub severity: u8,
    /// The desks that it is for.
    pub desks: &'a [String],
    /// When it is to be told.
    pub at: Timestamp,
    /// The zone of the rule's readers.
    pub zone: &'a TimeZone,
}

/// Whether a route takes an alert, and if not now, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It does.
    Now,
    /// It does from then on.
    From(Timestamp, String),
    /// It does not.
    Not(String),
}

impl Route {
    /// Everybody that it tells.
    pub fn channels(&self) -> Vec<Channel> {
        let mut channels: Vec<Channel> = self.mail.iter().cloned().map(Channel::Mail).collect();
        channels.extend(self.webhook.iter().cloned().map(Channel::Webhook));
        channels.extend(self.slack.iter().cloned().map(Channel::Slack));
        channels.extend(self.teams.iter().cloned().map(Channel::Teams));
        channels.extend(self.alertmanager.iter().cloned().map(Channel::Alertmanager));
        channels.extend(self.log.then_some(Channel::Log));
        channels
    }

    /// The programs that keep an alert open until they hear of its end.
    pub fn programs(&self) -> Vec<Channel> {
        self.webhook.iter().cloned().map(Channel::Webhook).collect()
    }

    /// Everybody who hears of the end of a severe alert: an Alertmanager is told of it anyway, and the log has each
    /// transition.
    pub fn programs_and_people(&self) -> Vec<Channel> {
        let hears = |to: &Channel| to.is_read_by_people() || matches!(to, Channel::Webhook(_));
        self.channels().into_iter().filter(hears).collect()
    }

    /// Everybody whom it brings a brief.
    pub fn readers(&self) -> Vec<Channel> {
        self.channels().into_iter().filter(Channel::takes_briefs).collect()
    }

    /// Whether it says which alerts it takes, so that rules need not name it.
    pub fn states_a_match(&self) -> bool {
        let lists = [&self.subjects, &self.searches, &self.desks];
        lists.iter().any(|list| !list.is_empty())
            || self.severity_at_least.is_some()
            || self.severity_at_most.is_some()
            || self.schedule.is_some()
    }

    /// Whether it takes an alert.
    pub fn takes(&self, alert: &Candidate<'_>) -> Takes {
        let refused = self.refuses(alert.subject, alert.severity).or_else(|| self.refuses_desks(alert.desks));
        match refused {
            Some(why) => Takes::Not(why),
            None => self.outside_schedule(alert).unwrap_or(Takes::Now),
        }
    }

    /// Why it takes no alert of this subject and severity, if so.
    pub fn refuses(&self, subject: &str, severity: u8) -> Option<String> {
        let searched = |search: &String| Search::subject_id(search) == subject;
        let named = self.subjects.iter().any(|known| known == subject) || self.searches.iter().any(searched);
        let takes_all = self.subjects.is_empty() && self.searches.is_empty();
        if !named && !takes_all {
            let known: Vec<String> =
                self.subjects.iter().chain(&self.searches).map(|id| format!("`{id}`")).collect();
            return Some(format!("`{subject}` is not among its subjects: {}", known.join(", ")));
        }
        if let Some(least) = self.severity_at_least.filter(|least| severity < *least) {
            return Some(format!("severity {severity} is under its {least}"));
        }
        let most = self.severity_at_most.filter(|most| severity > *most)?;
        Some(format!("severity {severity} is over its {most}"))
    }

    fn refuses_desks(&self, desks: &[String]) -> Option<String> {
        if self.desks.is_empty() || self.desks.iter().any(|desk| desks.contains(desk)) {
            return None;
        }
        let own = self.desks.join(", ");
        Some(match desks {
            [] => format!("its mentions are for no desk, and the route is for {own}"),
            desks => format!("its mentions are for {}, and the route is for {own}", desks.join(", ")),
        })
    }

    fn outside_schedule(&self, alert: &Candidate<'_>) -> Option<Takes> {
        let schedule = self.schedule.as_ref().filter(|_| alert.severity < TOLD_AT_ANY_HOUR)?;
        let own = self.zone.as_ref().and_then(|zone| TimeZone::get(zone).ok());
        let zone = own.as_ref().unwrap_or(alert.zone);
        if schedule.end(alert.at, zone).is_some() {
            return None;
        }
        let begin = schedule.next_start(alert.at, zone)?;
        let clock =
            |at: Timestamp| at.to_jiff().to_zoned_datetime(zone.clone()).strftime("%A %H:%M").to_string();
        let name = zone.iana_name().unwrap_or("UTC");
        let (now, begins) = (clock(alert.at), clock(begin));
        Some(Takes::From(begin, format!("{now} {name} is outside its schedule: it waits until {begins}")))
    }

    /// Says what is wrong with it by itself, naming the field and the value.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(address) = self.mail.iter().find(|address| !address.contains('@')) {
            return Err(format!("`mail` has `{address}`, which is not an e-mail address"));
        }
        if self.channels().is_empty() {
            return Err(
                "it tells nobody: give `mail`, `slack`, `teams`, `webhook`, `alertmanager` or `log = true`"
                    .to_owned(),
            );
        }
        if self.fallback.as_ref() == Some(&self.id) {
            return Err("`fallback` names the route itself: name another".to_owned());
        }
        if self.group_wait_s > MOST_GROUP_WAIT_S {
            return Err(format!(
                "`group_wait_s = {}` must be at most {MOST_GROUP_WAIT_S}",
                self.group_wait_s
            ));
        }
        self.check_match()
    }

    fn check_match(&self) -> Result<(), String> {
        let least = self.severity_at_least.unwrap_or(1);
        if !(1..=MOST_SEVERE).contains(&least) {
            return Err(format!("`severity_at_least = {least}` must be between 1 and {MOST_SEVERE}"));
        }
        if let Some(most) = self.severity_at_most.filter(|most| !(least..=MOST_SEVERE).contains(most)) {
            return Err(format!(
                "`severity_at_most = {most}` must be between `severity_at_least`, which is {least}, and {MOST_SEVERE}"
            ));
        }
        if let Some(desk) = self.desks.iter().find(|desk| !DESKS.contains(&desk.as_str())) {
            return Err(format!("`desks` has `{desk}`, which is no desk; there are: {}", DESKS.join(", ")));
        }
        self.zone.as_deref().map_or(Ok(()), check_zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Route {
        toml::from_str(&format!("id = \"r\"\nlog = true\n{text}")).unwrap()
    }

    /// What a route says of an alert of Harbor for a desk, at a time; UTC where it names no zone.
    fn takes(route_text: &str, severity: u8, desks: &[&str], at: &str) -> Takes {
        let desks: Vec<String> = desks.iter().map(|desk| (*desk).to_owned()).collect();
        let (at, zone) = (at.parse().unwrap(), &TimeZone::UTC);
        route(route_text).takes(&Candidate { subject: "harbor", severity, desks: &desks, at, zone })
    }

    const MONDAY: &str = "2026-01-05T10:00:00Z";

    #[test]
    fn a_route_that_states_nothing_takes_all_and_is_not_taken_without_being_named() {
        assert_eq!(takes("", 1, &[], MONDAY), Takes::Now);
        assert!(!route("zone = \"Europe/Berlin\"").states_a_match(), "a zone alone asks for nothing");
        for stated in
            ["subjects = [\"a\"]", "severity_at_most = 3", "schedule = { from = \"09:00\", to = \"17:00\" }"]
        {
            assert!(route(stated).states_a_match(), "{stated}");
        }
    }

    #[test]
    fn the_condition_that_fails_is_said_in_words() {
        for (text, why) in [
            ("severity_at_least = 7", "severity 5 is under its 7"),
            ("severity_at_most = 4", "severity 5 is over its 4"),
            (
                "subjects = [\"oakmere\"]\nsearches = [\"app\"]",
                "`harbor` is not among its subjects: `oakmere`, `app`",
            ),
            (
                "desks = [\"security\", \"hr\"]",
                "its mentions are for communications, and the route is for security, hr",
            ),
        ] {
            assert_eq!(takes(text, 5, &["communications"], MONDAY), Takes::Not(why.to_owned()), "{text}");
        }
        let none = "its mentions are for no desk, and the route is for hr";
        assert_eq!(takes("desks = [\"hr\"]", 5, &[], MONDAY), Takes::Not(none.to_owned()));
    }

    #[test]
    fn one_of_several_subjects_or_desks_is_enough_and_a_limit_is_within() {
        assert_eq!(takes("subjects = [\"oakmere\", \"harbor\"]", 5, &[], MONDAY), Takes::Now);
        assert_eq!(takes("desks = [\"hr\", \"communications\"]", 5, &["communications"], MONDAY), Takes::Now);
        assert_eq!(takes("severity_at_least = 5\nseverity_at_most = 5", 5, &[], MONDAY), Takes::Now);
    }

    #[test]
    fn a_search_is_taken_by_its_id() {
        let (at, zone) = (MONDAY.parse().unwrap(), &TimeZone::UTC);
        let alert = Candidate { subject: "search:app", severity: 5, desks: &[], at, zone };
        assert_eq!(route("searches = [\"app\"]").takes(&alert), Takes::Now);
        assert!(
            matches!(route("subjects = [\"app\"]").takes(&alert), Takes::Not(_)),
            "a subject of that id is another"
        );
    }

    /// 10 January 2026 is a Saturday; Berlin is an hour ahead of UTC then.
    #[test]
    fn outside_its_schedule_a_route_waits_for_it_unless_the_alert_is_severe() {
        let office = "zone = \"Europe/Berlin\"\n\
                      schedule = { days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"], from = \"09:00\", to = \"18:00\" }";
        let saturday = "2026-01-10T02:10:00Z";
        let why = "Saturday 03:10 Europe/Berlin is outside its schedule: it waits until Monday 09:00";
        let monday = "2026-01-12T08:00:00Z".parse().unwrap();
        assert_eq!(takes(office, 6, &[], saturday), Takes::From(monday, why.to_owned()));
        assert_eq!(takes(office, 7, &[], saturday), Takes::Now);
        assert_eq!(takes(office, 6, &[], MONDAY), Takes::Now);
    }
}
