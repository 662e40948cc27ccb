//! What fields a mention has: the one reading of a record that both back ends share.

use super::fields::{Field, Flag, NumberField};
use super::tree::{Bound, Condition, Moment, Value};
use crate::events::{Enriched, Lane};
use crate::time::Timestamp;

/// The fields of one mention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Each value of each field, in the form that it is compared in.
    pub values: Vec<(Field, String)>,
    /// The author's followers, where known.
    pub followers: Option<u64>,
    /// Accounts that could have seen it, where known.
    pub reach: Option<u64>,
    /// Event time.
    pub time: Timestamp,
}

impl Facts {
    /// Of a mention.
    pub fn of(enriched: &Enriched) -> Self {
        let mention = &enriched.mention;
        let author = mention.author.as_ref();
        let mut values: Vec<(Field, String)> = Vec::new();
        let mut add = |field: Field, value: &str| {
            let value = field.form(value);
            if !value.is_empty() {
                values.push((field, value));
            }
        };
        add(Field::Id, &mention.id);
        if let Some(author) = author {
            add(Field::Author, &author.id);
            for name in [&author.handle, &author.name].into_iter().flatten() {
                add(Field::Author, name);
            }
        }
        add(Field::Source, &mention.source.id);
        add(Field::Network, &mention.source.network);
        if let Some(host) = host_of(enriched) {
            domains(host, |domain| add(Field::Site, domain));
        }
        add(Field::Lang, &enriched.lang);
        if let Some(country) = &mention.country {
            add(Field::Country, country);
        }
        for tag in &enriched.entities {
            add(Field::Lane, tag.lane.as_str());
            match tag.lane {
                Lane::Doubtful => add(Field::Doubtful, &tag.subject),
                Lane::Sure => {
                    add(Field::Entity, &tag.subject);
                    if let Some(kind) = tag.kind {
                        add(Field::Kind, &kind.to_string());
                    }
                }
            }
        }
        add(Field::Sentiment, enriched.sentiment.label.as_str());
        for (field, list) in
            [(Field::Risk, &enriched.risk), (Field::Intent, &enriched.intent), (Field::Desk, &enriched.desks)]
        {
            list.iter().for_each(|value| add(field, value));
        }
        if let Some(story) = enriched.story {
            add(Field::Story, &story.to_string());
        }
        let (reply, repost) = (mention.reply_to.is_some(), mention.repost_of.is_some());
        let flags = [
            (Field::Is, Flag::Reply, reply),
            (Field::Is, Flag::Repost, repost),
            (Field::Is, Flag::Original, !reply && !repost),
            (Field::Is, Flag::Verified, author.is_some_and(|author| author.verified == Some(true))),
            (Field::Has, Flag::Link, !mention.links.is_empty()),
            (Field::Has, Flag::Media, !mention.media.is_empty()),
        ];
        for (field, flag, _) in flags.into_iter().filter(|(.., holds)| *holds) {
            add(field, flag.as_str());
        }
        values.sort();
        values.dedup();
        Self {
            values,
            followers: author.and_then(|author| author.followers),
            reach: enriched.reach,
            time: mention.event_time(),
        }
    }

    /// Whether a condition holds, where `now` is now.
    pub fn meet(&self, condition: &Condition, now: Timestamp) -> bool {
        match condition {
            Condition::Value(field, value) => self.values.iter().any(|(has, found)| {
                has == field
                    && match value {
                        Value::Is(wanted) => found == wanted,
                        Value::Like(pattern) => pattern.fits(found),
                    }
            }),
            Condition::Number(field, from, to) => self.number(*field).is_some_and(|number| {
                from.is_none_or(|from| number >= from) && to.is_none_or(|to| number <= to)
            }),
            Condition::Time(bound, moment) => self.on_side(*bound, *moment, now),
        }
    }

    fn number(&self, field: NumberField) -> Option<u64> {
        match field {
            NumberField::Followers => self.followers,
            NumberField::Reach => self.reach,
        }
    }

    fn on_side(&self, bound: Bound, moment: Moment, now: Timestamp) -> bool {
        match bound {
            Bound::After => self.time >= moment.at(now),
            Bound::Before => self.time < moment.at(now),
        }
    }
}

/// The host that the mention was published on: as the source says, else that of its address.
fn host_of(enriched: &Enriched) -> Option<&str> {
    let mention = &enriched.mention;
    let url = mention.url.as_deref().filter(|url| url.starts_with("http"));
    mention.source.site.as_deref().or_else(|| url.and_then(crate::text::url_host))
}

/// `m.news.example.org`, `news.example.org`, `example.org`, `org`.
fn domains(host: &str, mut visit: impl FnMut(&str)) {
    let mut rest = host;
    loop {
        visit(rest);
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => return,
        }
    }
}
