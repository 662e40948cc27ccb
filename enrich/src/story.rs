//! The story of a mention: what many copies of one text or link have in common.
//!
//! One pure key; two mentions are one story where their keys are equal. What it is made of is part of the
//! key's version.

use earshot_common::events::Mention;
use earshot_common::keys::StoryKey;
use earshot_common::text::{Token, TokenKind, Tokenized, push_folded};
use url::Url;

/// The version of the rule that makes the key.
const VERSION: &str = "story-1";

/// A text with fewer words says too little to be told from others.
const LEAST_WORDS: usize = 4;

/// Where an address only says which way a reader came.
const TRACKING: &[&str] = &["fbclid", "gclid", "igshid", "mc_cid", "mc_eid", "ref", "ref_src"];

/// The story of a mention: of a mere link the link, of a repost what it repeats, else the words.
pub fn of(mention: &Mention) -> Option<StoryKey> {
    of_tokens(mention, mention.title.as_deref().map(Tokenized::new).as_ref(), &Tokenized::new(&mention.text))
}

/// The same, with the mention's title and text taken apart.
pub fn of_tokens(mention: &Mention, title: Option<&Tokenized<'_>>, text: &Tokenized<'_>) -> Option<StoryKey> {
    let mut key = String::with_capacity(text.text.len() + "text ".len());
    key.push_str("text");
    let in_title = title.map_or(0, |title| push_words(&mut key, title));
    let in_text = push_words(&mut key, text);
    if in_text < LEAST_WORDS
        && let Some(link) = link(mention, text)
    {
        return Some(StoryKey::of(VERSION, &format!("link {link}")));
    }
    if let Some(repeated) = &mention.repost_of {
        return Some(StoryKey::of(VERSION, &format!("mention {repeated}")));
    }
    (in_title + in_text >= LEAST_WORDS).then(|| StoryKey::of(VERSION, &key))
}

/// Adds words and tags, folded, without accounts, addresses, emoji and the `RT @name` of a repost by hand; gives their
/// number.
fn push_words(key: &mut String, Tokenized { text, tokens }: &Tokenized<'_>) -> usize {
    let mut rest: &[Token] = tokens;
    while let [mark, account, behind @ ..] = rest
        && mark.of(text).eq_ignore_ascii_case("rt")
        && account.kind == TokenKind::Handle
    {
        rest = behind;
    }
    let mut words = 0;
    for token in rest {
        if matches!(token.kind, TokenKind::Word | TokenKind::Hashtag | TokenKind::Cashtag) {
            key.push(' ');
            push_folded(key, token.of(text).trim_start_matches(['#', '＃', '$']));
            words += 1;
        }
    }
    words
}

/// The first link, in the text or beside it, in a form that its copies share.
fn link(mention: &Mention, text: &Tokenized<'_>) -> Option<String> {
    let in_text = text.tokens.iter().find(|token| token.kind == TokenKind::Url);
    let link = mention.links.first().map(String::as_str).or(in_text.map(|token| token.of(text.text)))?;
    canonical(link)
}

fn canonical(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let host = url.host_str()?;
    let mut canonical = host.strip_prefix("www.").unwrap_or(host).to_owned();
    canonical.push_str(url.path().trim_end_matches('/'));
    let mut queries: Vec<String> = Vec::new();
    for (name, value) in url.query_pairs() {
        if !name.starts_with("utm_") && !TRACKING.contains(&name.as_ref()) {
            queries.push(format!("{name}={value}"));
        }
    }
    queries.sort();
    if !queries.is_empty() {
        canonical.push('?');
        canonical.push_str(&queries.join("&"));
    }
    Some(canonical)
}
#[cfg(test)]
mod tests {
    use earshot_common::events::SourceRef;

    use super::*;

    fn mention(text: &str) -> Mention {
        let source = SourceRef { id: "hn".to_owned(), network: "hackernews".to_owned(), site: None };
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        Mention::new("hn:1".to_owned(), source, text.to_owned(), at)
    }

    fn story(text: &str) -> Option<StoryKey> {
        of(&mention(text))
    }

    #[test]
    fn copies_of_a_text_are_one_story() {
        let original = story("Harbor's app is down again").unwrap();
        for copy in [
            "harbor’s APP is  down, again!!!",
            "RT @someone: Harbor's app is down again",
            "rt @b RT @a: Harbor's app is down again",
            "@harbor Harbor's app is down again http://t.co/x1",
            "Harbor's app is down again 😡",
            "Harbor's app is #down again",
        ] {
            assert_eq!(story(copy), Some(original), "{copy}");
        }
        assert_ne!(story("Harbor's app is up again"), Some(original));
        assert_ne!(story("RT this: Harbor's app is down again"), Some(original));
    }

    #[test]
    fn a_short_text_has_no_story() {
        for text in ["", "down again", "@harbor down again @united !!! :)", "RT @harbor: down again now"] {
            assert_eq!(story(text), None, "{text}");
        }
        let titled = Mention { title: Some("The app is down".to_owned()), ..mention("") };
        assert_eq!(of(&titled), story("the app is down"));
    }

    #[test]
    fn a_mere_link_is_the_story_of_its_address() {
        let shared = story("http://www.news.example/harbor/?utm_source=x&id=7#top");
        assert!(shared.is_some());
        assert_eq!(story("wow https://news.example/harbor?id=7&fbclid=abc"), shared);
        let beside = Mention {
            title: Some("A headline of an article about Harbor".to_owned()),
            links: vec!["https://news.example/harbor?id=7".to_owned()],
            ..mention("")
        };
        assert_eq!(of(&beside), shared);
        assert_ne!(story("https://news.example/harbor?id=8"), shared);
        // With words of its own it is those.
        let told = "Harbor is in the news https://news.example/harbor?id=7";
        assert_eq!(story(told), story("harbor is in the news"));
    }

    #[test]
    fn reposts_of_one_mention_are_one_story() {
        let repost = |of: &str, text: &str| Mention { repost_of: Some(of.to_owned()), ..mention(text) };
        let first = of(&repost("hn:7", ""));
        assert!(first.is_some());
        assert_eq!(of(&repost("hn:7", "with a few words of my own")), first);
        assert_ne!(of(&repost("hn:8", "")), first);
    }
}
