//! What a message says: what happened, how bad it is, what people say, what to do, and one link.

use askama::Template;
use earshot_common::definitions::Watchlist;
use earshot_common::events::{AlertEvent, Channel, Transition};
use earshot_common::keys::Secret;
use earshot_common::signed::AcknowledgeLink;
use earshot_common::time::Timestamp;
use jiff::tz::TimeZone;

use super::Job;
use super::colours;
use super::ledger::{Content, Part};
use super::quotes::{Quote, QuoteReader, Quotes};
use super::words::{advice, headline, sentences, urgency};
use crate::briefs::Letter;

/// Alerts that a message tells in full, at most: of more it says what happened, and where to read on.
const MOST_IN_FULL: usize = 3;

/// A message to one address.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same at every attempt.
    pub(crate) key: String,
    /// The route that asked for it.
    pub(crate) route: String,
    pub(crate) to: Channel,
    /// What must be said first: that it is late, that it takes the place of another.
    pub(crate) notes: Vec<String>,
    /// The alerts, each once, the most severe first. None in a test or a brief.
    pub(crate) told: Vec<Told>,
    /// What a brief says.
    pub(crate) letter: Option<Letter>,
}

/// An alert as a message tells it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) event: AlertEvent,
    /// What happened, in a line.
    pub(crate) headline: String,
    /// How it stands against what was to be expected, a sentence each.
    pub(crate) sentences: Vec<String>,
    /// What people say.
    pub(crate) quotes: Quotes,
    /// Where to read more, and to acknowledge.
    pub(crate) link: Option<Link>,
    /// Whether it is over meanwhile.
    pub(crate) over: bool,
    /// The severity that its rule gives an ordinary case, where the rule is still in force.
    pub(crate) rule_severity: Option<u8>,
    zone: TimeZone,
}

/// The one link of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The address.
    pub(crate) url: String,
    /// What stands on its button.
    pub(crate) label: &'static str,
}

/// What links are made with.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// Where people open the console, without a slash at its end; without it there are no links.
    pub(crate) console_url: Option<String>,
    /// What signs them.
    pub(crate) secret: Secret,
    /// A link that acts is good for so long after the decision.
    pub(crate) valid_ms: i64,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct HtmlBody<'a> {
    message: &'a Message,
}

#[derive(Template)]
#[template(path = "alert.txt")]
struct TextBody<'a> {
    message: &'a Message,
}

#[derive(Template)]
#[template(path = "brief.html")]
struct BriefHtml<'a> {
    message: &'a Message,
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "brief.txt")]
struct BriefText<'a> {
    message: &'a Message,
    letter: &'a Letter,
}

impl Message {
    /// The message of a job, without quotes.
    pub(crate) fn compose(job: Job, watchlist: &Watchlist, links: &Links) -> Self {
        let mut notes = Vec::new();
        if job.late {
            notes.push(
                "This comes late: Earshot could not send for a while. It tells what has happened since."
                    .to_owned(),
            );
        }
        for note in job.parts.iter().filter_map(why_called) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        let mut told: Vec<Told> = Vec::new();
        for part in &job.parts {
            notes.extend(part.instead_of.clone());
            let Content::Alert(event) = &part.content else { continue };
            let event = AlertEvent::clone(event);
            match told.iter_mut().find(|told| told.event.alert == event.alert) {
                Some(known) if news(&known.event) >= news(&event) => {}
                Some(known) => *known = Told::of(event, part.over, &job.to, watchlist, links),
                None => told.push(Told::of(event, part.over, &job.to, watchlist, links)),
            }
        }
        told.sort_by_key(|told| std::cmp::Reverse(told.event.severity));
        Self { key: job.key(), route: job.route(), to: job.to, notes, told, letter: None }
    }

    /// A message that says that it is a test.
    pub(crate) fn test(route: &str, to: Channel, now: Timestamp) -> Self {
        let note = format!(
            "This is a test of the route `{route}`, sent at {now}. Nothing has happened; nothing is to be done."
        );
        let key = format!("test/{route}/{}/{}", to.name(), now.as_millis());
        Self { key, route: route.to_owned(), to, notes: vec![note], told: Vec::new(), letter: None }
    }

    /// Asks what people say, where the channel shows it.
    pub(crate) async fn quote(&mut self, reader: &QuoteReader) {
        if !self.to.is_read_by_people() || self.is_overview() {
            return;
        }
        for told in self.told.iter_mut().filter(|told| told.event.transition != Transition::Resolved) {
            told.quotes = reader.read(&told.event, &told.zone).await;
        }
    }

    /// Whether it tells too many alerts to tell each in full.
    pub(crate) fn is_overview(&self) -> bool {
        self.told.len() > MOST_IN_FULL
    }

    /// What happened, in a line.
    pub(crate) fn title(&self) -> String {
        if let Some(letter) = &self.letter {
            return letter.title.clone();
        }
        match self.told.as_slice() {
            [] => format!("Earshot: a test of the route `{}`", self.route),
            [one] => one.headline.clone(),
            [worst, ..] => format!("{} alerts, above all {}", self.told.len(), worst.headline),
        }
    }

    /// The subject line of a mail.
    pub(crate) fn subject_line(&self) -> String {
        if let Some(letter) = &self.letter {
            return letter.subject_line.clone();
        }
        match self.told.first() {
            Some(worst) => format!("[{}/10] {}", worst.event.severity, self.title()),
            None => self.title(),
        }
    }

    /// The colour that its severity has on every page.
    fn colour(&self) -> &'static str {
        let of_letter = self.letter.as_ref().and_then(Letter::severity);
        let severity = self.told.first().map(|told| told.event.severity).or(of_letter);
        severity.and_then(colours::of_severity).unwrap_or("#59626e")
    }

    /// The body for every reader.
    pub(crate) fn text(&self) -> Result<String, askama::Error> {
        match &self.letter {
            Some(letter) => BriefText { message: self, letter }.render(),
            None => TextBody { message: self }.render(),
        }
    }

    /// The body for readers that show HTML.
    pub(crate) fn html(&self) -> Result<String, askama::Error> {
        match &self.letter {
            Some(letter) => BriefHtml { message: self, letter }.render(),
            None => HtmlBody { message: self }.render(),
        }
    }
}

/// Why the reader is called who is the next in the order, as it is when the message is sent.
fn why_called(part: &Part) -> Option<String> {
    let Content::Alert(event) = &part.content else { return None };
    if event.transition != Transition::Escalated || part.over {
        return None;
    }
    Some(match &part.in_hand {
        None => "Nobody has taken it in hand yet, so you are called.".to_owned(),
        Some(by) => {
            format!("You were called because nobody had taken it in hand; by now {by} has it in hand.")
        }
    })
}

/// How much a transition tells beside others of its alert: the newest most, and the end least, for it says only that.
fn news(event: &AlertEvent) -> (bool, u32) {
    (event.transition != Transition::Resolved, event.sequence)
}

impl Told {
    pub(crate) fn of(
        event: AlertEvent,
        over: bool,
        to: &Channel,
        watchlist: &Watchlist,
        links: &Links,
    ) -> Self {
        let over = over || event.transition == Transition::Resolved;
        let subject = watchlist.subject(&event.subject);
        let name = subject.map_or(event.subject.as_str(), |subject| subject.name.as_str());
        let rule = watchlist.rules().map(|(_, rule)| rule).find(|rule| rule.id == event.rule);
        let zone = subject.map_or(TimeZone::UTC, |subject| subject.time_zone());
        Self {
            headline: headline(name, &event),
            sentences: sentences(&event, &zone),
            quotes: Quotes::NotAsked,
            link: links.of(&event, over, to),
            over,
            rule_severity: rule.map(|rule| rule.severity),
            zone,
            event,
        }
    }

    /// How urgent it is, in words.
    pub(crate) fn urgency(&self) -> &'static str {
        if self.over { "over meanwhile" } else { urgency(self.event.severity) }
    }

    /// What the reader is to do.
    pub(crate) fn advice(&self) -> &'static str {
        advice(&self.event, self.over)
    }

    /// The quotes that were read.
    pub(crate) fn quoted(&self) -> &[Quote] {
        match &self.quotes {
            Quotes::Read(quotes) => quotes,
            Quotes::NotAsked | Quotes::NoAnswer => &[],
        }
    }

    /// Why nothing is quoted, where somebody would look for it.
    pub(crate) fn quotes_missing(&self) -> Option<&'static str> {
        match &self.quotes {
            Quotes::NotAsked => None,
            Quotes::NoAnswer => Some("The texts could not be read in time for this message."),
            Quotes::Read(quotes) if quotes.is_empty() => {
                Some("The mentions behind it were deleted, or cannot be found yet.")
            }
            Quotes::Read(_) => None,
        }
    }
}

impl Links {
    /// Where people open the console, where it is known.
    pub(crate) fn console_url(&self) -> Option<&str> {
        self.console_url.as_deref()
    }

    /// To a person, one that acknowledges without a login; else to the alert in the console.
    fn of(&self, event: &AlertEvent, over: bool, to: &Channel) -> Option<Link> {
        let console = self.console_url.as_ref()?;
        let Some(address) = to.address().filter(|_| to.is_read_by_people() && !over) else {
            let url = format!("{console}/alerts/{}", event.alert);
            return Some(Link { url, label: "See the mentions" });
        };
        let link = AcknowledgeLink {
            alert: event.alert,
            recipient: format!("{}:{address}", to.name()),
            expires: event.decided.plus_millis(self.valid_ms),
        };
        Some(Link { url: format!("{console}{}", link.path(&self.secret)), label: "Open and acknowledge" })
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::events::{AbsenceArithmetic, Arithmetic};
    use expect_test::expect;

    use super::*;
    use crate::delivery::tests::{event, message, told_by_mail};

    fn to_mail() -> Message {
        message(Channel::Mail("comms@harbor.example".to_owned()), "Harbor")
    }

    fn quote(text: &str) -> Quote {
        Quote {
            text: text.to_owned(),
            by: "ann on hackernews".to_owned(),
            at: "5 Jan, 04:31".to_owned(),
            tone: "negative",
        }
    }

    #[test]
    fn a_message_says_what_how_bad_what_people_say_and_what_to_do() {
        let mut message = to_mail();
        message.told[0].quotes = Quotes::Read(vec![quote("the app is down again"), quote("moving my money")]);
        expect!["[7/10] Harbor: 1,064 mentions in an hour, about 11 expected"]
            .assert_eq(&message.subject_line());
        let text = message.text().unwrap();
        let proof = text.split("&proof=").nth(1).unwrap().lines().next().unwrap();
        expect![[r#"
            Harbor: 1,064 mentions in an hour, about 11 expected

            Severity 7 of 10: needs attention now.

            From 51 different authors, in the hour from 04:00 to 05:00, Monday, 5 January 2026 (America/New_York); the count may still grow.
            About 11 were to be expected: the same hour of the days before had 9, 12, 10, 14.
            By chance alone as many come about once in 3,200,000 such hours.

            What people say:
            "the app is down again"
            (negative, ann on hackernews, 5 Jan, 04:31)
            "moving my money"
            (negative, ann on hackernews, 5 Jan, 04:31)

            What to do: Read what people say, decide who answers and by when, and acknowledge, so that the others know that you have it in hand.

            Open and acknowledge:
            https://earshot.harbor.example/acknowledge/a7000000000000000000000000000001?for=mail%3Acomms%40harbor.example&until=1767865261000&proof=PROOF

            Rule harbor-volume: count of mentions in an hour against expectation
            Alert a7000000000000000000000000000001

            Sent by Earshot"#]].assert_eq(&text.replace(proof, "PROOF"));
    }

    #[test]
    fn what_is_over_asks_nothing_of_anybody() {
        let mut event = to_mail().told.remove(0).event;
        event.transition = Transition::Resolved;
        let links = crate::delivery::tests::links();
        let told = Told::of(event, false, &to_mail().to, &Watchlist::default(), &links);
        assert_eq!(told.urgency(), "over meanwhile");
        assert!(told.headline.starts_with("harbor: it is over: "), "{}", told.headline);
        let zone = "Monday, 5 January 2026";
        assert_eq!(told.sentences.len(), 1, "{:?}", told.sentences);
        assert!(told.sentences[0].starts_with("It lasted from ") && told.sentences[0].contains(zone));
        assert!(told.advice().starts_with("Nothing: it is over."), "{}", told.advice());
        assert_eq!(told.link.unwrap().label, "See the mentions");
    }

    #[test]
    fn of_an_alert_that_began_and_ended_before_anybody_was_told_the_numbers_are_told_that_raised_it() {
        let to = to_mail().to;
        let part = |sequence, transition, over| {
            let event = AlertEvent { sequence, transition, ..event() };
            let notification = event.notify[0].clone();
            Part {
                notification,
                content: Content::Alert(event.into()),
                instead_of: None,
                over,
                in_hand: None,
            }
        };
        let parts = vec![part(2, Transition::Resolved, false), part(1, Transition::Opened, true)];
        let job = Job { to, parts, late: true };
        let told = Message::compose(job, &Watchlist::default(), &crate::delivery::tests::links()).told;
        assert_eq!((told.len(), told[0].event.transition, told[0].over), (1, Transition::Opened, true));
    }

    #[test]
    fn who_is_called_is_told_whether_anybody_has_it_in_hand() {
        let event = AlertEvent { transition: Transition::Escalated, ..event() };
        assert_eq!(
            told_by_mail(event.clone()).notes,
            ["Nobody has taken it in hand yet, so you are called."]
        );
        let late = |over, in_hand: Option<&str>| {
            let (notification, content) = (event.notify[0].clone(), Content::Alert(event.clone().into()));
            let in_hand = in_hand.map(str::to_owned);
            let part = Part { notification, content, instead_of: None, over, in_hand };
            let job = Job { to: to_mail().to, parts: vec![part], late: false };
            Message::compose(job, &Watchlist::default(), &crate::delivery::tests::links()).notes
        };
        let ann = "You were called because nobody had taken it in hand; by now ann has it in hand.";
        assert_eq!(late(false, Some("ann")), [ann]);
        assert!(late(true, None).is_empty());
    }

    #[test]
    fn of_a_silence_the_reader_looks_for_its_cause() {
        let mut event = event();
        event.evidence.clear();
        event.arithmetic = Arithmetic::Absence(AbsenceArithmetic {
            since: event.opened,
            hours: 3,
            expected: None,
            probability: None,
            sources: vec!["times".to_owned()],
            usual: Vec::new(),
        });
        let text = told_by_mail(event).text().unwrap();
        assert!(text.contains("times does not answer, so mentions are missing"), "{text}");
        assert!(text.contains("What to do: Look whether its sources still answer"), "{text}");
        assert!(!text.contains("What people say"), "{text}");
    }

    #[test]
    fn what_people_wrote_is_escaped() {
        let mut message = message(Channel::Mail("comms@harbor.example".to_owned()), "Har<b>bor & Sons");
        message.told[0].quotes = Quotes::Read(vec![quote("<img src=x onerror=alert(1)>\"'")]);
        let html = message.html().unwrap();
        assert!(!html.contains("<b>bor") && !html.contains("<img"), "{html}");
        assert!(html.contains("&#60;img src=x"), "{html}");
    }

    #[test]
    fn quotes_that_are_missing_are_said() {
        let mut message = to_mail();
        assert_eq!(message.told[0].quotes_missing(), None);
        message.told[0].quotes = Quotes::NoAnswer;
        assert!(message.text().unwrap().contains("could not be read in time"));
        assert!(message.html().unwrap().contains("could not be read in time"));
        message.told[0].quotes = Quotes::Read(Vec::new());
        assert!(message.text().unwrap().contains("were deleted"));
    }

    #[test]
    fn only_people_get_links_that_act_and_only_while_there_is_something_to_do() {
        let link = |message: &Message| message.told[0].link.clone().unwrap();
        let mail = link(&to_mail());
        assert!(mail.url.starts_with("https://earshot.harbor.example/acknowledge/a7"), "{mail:?}");
        assert!(mail.url.contains("for=mail%3Acomms%40harbor.example&until=1767865261000&"), "{mail:?}");
        let program = link(&message(Channel::Webhook("chat".to_owned()), "Harbor"));
        let page = "https://earshot.harbor.example/alerts/a7000000000000000000000000000001";
        assert_eq!(program.url, page);
        let over = to_mail().told.remove(0).event;
        assert_eq!(crate::delivery::tests::links().of(&over, true, &to_mail().to).unwrap().url, page);
    }
}
