//! Which column holds what: as the options say, else by names that exports use.

use super::options::{Field, ImportOptions, Mapping};

/// Well-known column names, best first; compared without case.
const KNOWN: &[(Field, &[&str])] = &[
    (
        Field::Id,
        &["id", "id_str", "tweet_id", "status_id", "mention_id", "post_id", "guid", "objectid", "uri"],
    ),
    (
        Field::Text,
        &["text", "full_text", "content", "body", "message", "snippet", "comment", "tweet", "title"],
    ),
    (
        Field::Time,
        &[
            "time",
            "published",
            "published_at",
            "publication_date",
            "created_at",
            "created",
            "tweet_created",
            "date",
            "datetime",
            "timestamp",
            "ts",
            "created_utc",
        ],
    ),
    (Field::Title, &["title", "headline", "subject"]),
    (Field::Url, &["url", "link", "permalink", "href"]),
    (
        Field::Author,
        &[
            "author",
            "user",
            "username",
            "user_name",
            "screen_name",
            "handle",
            "user.screen_name",
            "name",
            "by",
        ],
    ),
    (Field::AuthorId, &["author_id", "user_id", "userid", "user.id_str"]),
    (Field::Followers, &["followers", "followers_count", "user_followers", "user.followers_count"]),
    (Field::Lang, &["lang", "language"]),
    (
        Field::Likes,
        &["likes", "like_count", "favorite_count", "favourites_count", "points", "num_points", "score"],
    ),
    (Field::Replies, &["replies", "reply_count", "comments", "num_comments"]),
    (Field::Reposts, &["reposts", "retweets", "retweet_count", "repost_count", "shares"]),
    (Field::Revision, &["revision"]),
];

/// What is wrong with the columns of a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MappingError {
    #[error("there is no column `{column}` for `{field}`; the columns are: {columns}")]
    NoSuchColumn { field: &'static str, column: String, columns: String },
    #[error("no column looks like `{field}`: name it with the option `{field}`; the columns are: {columns}")]
    NotFound { field: &'static str, columns: String },
}

/// The columns to use. Text and time must be there; a column serves one field.
pub(super) fn choose(options: &ImportOptions, columns: &[String]) -> Result<Mapping, MappingError> {
    let mut mapping = Mapping::new();
    for (field, known) in KNOWN {
        if let Some(column) = options.column(*field) {
            if !columns.iter().any(|there| there == column) {
                return Err(MappingError::NoSuchColumn {
                    field: name(*field),
                    column: column.to_owned(),
                    columns: columns.join(", "),
                });
            }
            mapping.insert(*field, column.to_owned());
        } else if let Some(column) = guess(options, &mapping, known, columns) {
            mapping.insert(*field, column.to_owned());
        }
    }
    for field in [Field::Text, Field::Time] {
        if !mapping.contains_key(&field) {
            return Err(MappingError::NotFound { field: name(field), columns: columns.join(", ") });
        }
    }
    Ok(mapping)
}

/// The first column of a known name that serves no other field.
fn guess<'c>(
    options: &ImportOptions,
    mapping: &Mapping,
    known: &[&str],
    columns: &'c [String],
) -> Option<&'c str> {
    let taken = |column: &str| {
        mapping.values().any(|used| used == column)
            || KNOWN.iter().any(|(field, _)| options.column(*field) == Some(column))
    };
    let named = |wanted: &str| {
        columns.iter().find(|column| column.trim().eq_ignore_ascii_case(wanted) && !taken(column))
    };
    known.iter().find_map(|wanted| named(wanted)).map(String::as_str)
}

/// The field as the options write it.
pub(super) fn name(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::Text => "text",
        Field::Time => "time",
        Field::Title => "title",
        Field::Url => "url",
        Field::Author => "author",
        Field::AuthorId => "author_id",
        Field::Followers => "followers",
        Field::Lang => "lang",
        Field::Likes => "likes",
        Field::Replies => "replies",
        Field::Reposts => "reposts",
        Field::Revision => "revision",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn columns(header: &str) -> Vec<String> {
        header.split(',').map(str::to_owned).collect()
    }

    fn check(header: &str, wanted: Expect) {
        let mapping = choose(&ImportOptions::default(), &columns(header)).unwrap();
        let listed: Vec<String> =
            mapping.iter().map(|(field, column)| format!("{}={column}", name(*field))).collect();
        wanted.assert_eq(&listed.join(" "));
    }

    #[test]
    fn the_columns_of_known_exports_are_guessed() {
        check(
            "tweet_id,airline_sentiment,airline,name,retweet_count,text,tweet_created,tweet_location",
            expect!["id=tweet_id text=text time=tweet_created author=name reposts=retweet_count"],
        );
        check(
            "id,title,url,num_points,num_comments,author,created_at",
            expect![
                "id=id text=title time=created_at url=url author=author likes=num_points replies=num_comments"
            ],
        );
        check(
            "ts,ticker,id,user,followers,lang,rt,text",
            expect!["id=id text=text time=ts author=user followers=followers lang=lang"],
        );
        check(
            "created_at,full_text,id_str,user.screen_name,user.followers_count,Title",
            expect![
                "id=id_str text=full_text time=created_at title=Title author=user.screen_name followers=user.followers_count"
            ],
        );
    }

    #[test]
    fn a_named_column_is_taken_and_serves_nothing_else() {
        let options = ImportOptions {
            text: Some("title".to_owned()),
            revision: Some("created".to_owned()),
            ..ImportOptions::default()
        };
        let mapping = choose(&options, &columns("title,created,date")).unwrap();
        assert_eq!(mapping[&Field::Text], "title");
        assert_eq!(mapping[&Field::Time], "date");
        assert!(!mapping.contains_key(&Field::Title));
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let options = ImportOptions { text: Some("words".to_owned()), ..ImportOptions::default() };
        assert_eq!(
            choose(&options, &columns("a,b")).unwrap_err().to_string(),
            "there is no column `words` for `text`; the columns are: a, b"
        );
        assert_eq!(
            choose(&ImportOptions::default(), &columns("text,when")).unwrap_err().to_string(),
            "no column looks like `time`: name it with the option `time`; the columns are: text, when"
        );
    }
}
