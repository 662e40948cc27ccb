//! The fields that a query can ask for: their names here and in other products, and the form of their values.

use super::countries;
use super::pattern::Pattern;
use super::tree::{Condition, Value};
use crate::text::fold;

/// A field with values that are words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The mention's id.
    Id,
    /// The author's account, id or name.
    Author,
    /// The source's id.
    Source,
    /// The network.
    Network,
    /// The host it was published on, and each domain that the host belongs to.
    Site,
    /// The language (ISO 639-1).
    Lang,
    /// The country (ISO 3166-1, two letters).
    Country,
    /// A subject that it concerns.
    Entity,
    /// A subject that it perhaps concerns, which waits for a person to say.
    Doubtful,
    /// How sure its subjects are: one of [`Lane`](crate::events::Lane).
    Lane,
    /// The kind of a subject that it concerns.
    Kind,
    /// The polarity of the whole message.
    Sentiment,
    /// A risk category.
    Risk,
    /// What the author is about.
    Intent,
    /// A desk that it is for.
    Desk,
    /// The story that it is a copy of.
    Story,
    /// What the mention is: one of [`Flag`].
    Is,
    /// What the mention has: one of [`Flag`].
    Has,
}

/// A field with a number, which may be unknown: then no condition on it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumberField {
    /// The author's followers when the mention was collected.
    Followers,
    /// Accounts that could have seen it.
    Reach,
}

/// What a mention is or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// It answers another mention.
    Reply,
    /// It repeats another mention.
    Repost,
    /// Neither.
    Original,
    /// The network vouches for its author.
    Verified,
    /// A link.
    Link,
    /// A picture or a film.
    Media,
}

impl Flag {
    /// The flag as a value of its field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Repost => "repost",
            Self::Original => "original",
            Self::Verified => "verified",
            Self::Link => "link",
            Self::Media => "media",
        }
    }
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 18] = [
        Self::Id,
        Self::Author,
        Self::Source,
        Self::Network,
        Self::Site,
        Self::Lang,
        Self::Country,
        Self::Entity,
        Self::Doubtful,
        Self::Lane,
        Self::Kind,
        Self::Sentiment,
        Self::Risk,
        Self::Intent,
        Self::Desk,
        Self::Story,
        Self::Is,
        Self::Has,
    ];

    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Author => "author",
            Self::Source => "source",
            Self::Network => "network",
            Self::Site => "site",
            Self::Lang => "lang",
            Self::Country => "country",
            Self::Entity => "entity",
            Self::Doubtful => "doubtful",
            Self::Lane => "lane",
            Self::Kind => "kind",
            Self::Sentiment => "sentiment",
            Self::Risk => "risk",
            Self::Intent => "intent",
            Self::Desk => "desk",
            Self::Story => "story",
            Self::Is => "is",
            Self::Has => "has",
        }
    }

    /// The values that there are, where they are few.
    fn choices(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Sentiment => Some(&["negative", "neutral", "positive"]),
            Self::Lane => Some(&["sure", "doubtful"]),
            Self::Kind => Some(&["brand", "executive", "product", "competitor", "topic"]),
            Self::Is => Some(&["reply", "repost", "original", "verified"]),
            Self::Has => Some(&["link", "media"]),
            _ => None,
        }
    }

    /// A value as it is compared. Ids are as they are; what people write this way and that is folded.
    pub fn form(self, value: &str) -> String {
        match self {
            Self::Author => fold(value).trim_start_matches('@').to_owned(),
            Self::Site => value.trim_start_matches("www.").to_lowercase(),
            Self::Country => countries::two_letters(&value.to_lowercase()).to_owned(),
            Self::Lang | Self::Story => value.to_lowercase(),
            _ => value.to_owned(),
        }
    }

    /// The condition that one of the field's values is this, which may have wildcards.
    pub(super) fn condition(self, written: &str) -> Result<Condition, String> {
        if let Some(choices) = self.choices() {
            let value = written.to_lowercase();
            return match choices.iter().find(|choice| **choice == value) {
                Some(choice) => Ok(Condition::Value(self, Value::Is((*choice).to_owned()))),
                None => Err(format!(
                    "`{written}` is no value of `{}:`; there are: {}",
                    self.name(),
                    choices.join(", ")
                )),
            };
        }
        let value = self.form(written);
        if value.is_empty() {
            return Err(format!("`{}:` has no value", self.name()));
        }
        let value = match value.contains(['*', '?']) {
            true => Value::Like(Pattern::new(&value)?),
            false => Value::Is(value),
        };
        Ok(Condition::Value(self, value))
    }
}

impl NumberField {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Followers => "followers",
            Self::Reach => "reach",
        }
    }
}

/// What a name before a colon means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Value(Field),
    Number(NumberField),
    After,
    Before,
    Title,
    Body,
    Raw,
    /// Of another product, with the same meaning under another value.
    Verified,
    Engagement,
    /// Of another product, and nothing here.
    Foreign,
}

/// Names of other products that mean nothing here (Brandwatch's and Meltwater's operators, in lower case).
const FOREIGN: [&str; 51] = [
    "at_mentions",
    "authorcity",
    "authorcontinent",
    "authorcountry",
    "authorgender",
    "authorstate",
    "authorverifiedtype",
    "blogname",
    "blogtitle",
    "category",
    "channelid",
    "channelname",
    "city",
    "continent",
    "engagingwith",
    "engagingwithguid",
    "guid",
    "hashtags",
    "imagetype",
    "influencer",
    "ingress",
    "interest",
    "itemreview",
    "latitude",
    "links",
    "longitude",
    "metatag",
    "minuteofday",
    "monthlyvisitors",
    "objects",
    "pagetype",
    "parentblog",
    "parentpostid",
    "profession",
    "publishersubtype",
    "quote",
    "rating",
    "redditauthorawards",
    "redditauthorflair",
    "redditspoiler",
    "region",
    "reviewrating",
    "rootpostid",
    "sensitivecontent",
    "state",
    "subreddit",
    "subredditnsfw",
    "subreddittopics",
    "tag",
    "url",
    "weblogtitle",
];

impl Named {
    /// What a name means; case does not count, since other products write `authorFollowers`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        if let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) {
            return Some(Self::Value(field));
        }
        Some(match name.as_str() {
            "language" => Self::Value(Field::Lang),
            "followers" | "authorfollowers" => Self::Number(NumberField::Followers),
            "reach" => Self::Number(NumberField::Reach),
            "after" => Self::After,
            "before" => Self::Before,
            "title" => Self::Title,
            "body" => Self::Body,
            "raw" => Self::Raw,
            "authorverified" => Self::Verified,
            "engagementtype" => Self::Engagement,
            foreign if FOREIGN.contains(&foreign) => Self::Foreign,
            _ => return None,
        })
    }
}

/// The names that a message offers.
pub(super) const KNOWN: &str = "title, body, raw, author, source, network, site, lang, country, entity, doubtful, lane, kind, sentiment, \
     followers, reach, risk, intent, desk, story, id, is, has, after, before";
