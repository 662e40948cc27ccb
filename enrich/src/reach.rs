//! How many could have seen a mention, as far as it is known, and where it was published. What is not known is not
//! made up.

use std::collections::HashMap;

use earshot_common::definitions::{Audience, Watchlist};
use earshot_common::events::{Mention, ReachUnit};
use earshot_common::text::url_host;

/// What the watchlist says of the outlets that are listened to.
#[derive(Clone, Debug, Default)]
pub struct Outlets {
    /// By the id of the source.
    outlets: HashMap<String, Outlet>,
}

/// An outlet, as its source's definition describes it.
#[derive(Clone, Debug, Default)]
struct Outlet {
    name: Option<String>,
    audience: Option<Audience>,
}

impl Outlets {
    /// Those of a watchlist.
    pub fn of(watchlist: &Watchlist) -> Self {
        let outlet = |name: &Option<String>, audience| Outlet { name: name.clone(), audience };
        let outlets =
            watchlist.sources().map(|source| (source.id.clone(), outlet(&source.outlet, source.audience)));
        Self { outlets: outlets.collect() }
    }

    /// How many could have seen a mention: who follows its author, else who reads the outlet.
    pub fn reach(&self, mention: &Mention) -> Option<(u64, ReachUnit)> {
        if let Some(followers) = mention.author.as_ref().and_then(|author| author.followers) {
            return Some((followers, ReachUnit::Followers));
        }
        let Audience { count, unit } = self.outlets.get(&mention.source.id)?.audience?;
        Some((count, unit))
    }

    /// Where it was published: as the source's definition calls it, else the host.
    pub fn name(&self, mention: &Mention) -> Option<String> {
        let defined = self.outlets.get(&mention.source.id).and_then(|outlet| outlet.name.as_deref());
        let host = || mention.url.as_deref().filter(|url| url.starts_with("http")).and_then(url_host);
        defined.or(mention.source.site.as_deref()).or_else(host).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use earshot_common::definitions::parse_file;
    use earshot_common::events::{Author, SourceRef};

    use super::*;

    fn outlets() -> Outlets {
        let file = r#"
            [[source]]
            id = "times"
            kind = "feed"
            url = "https://feeds.harbor-times.example/all"
            outlet = "The Harbor Times"
            audience = { count = 90000, unit = "circulation" }

            [[source]]
            id = "blog"
            kind = "feed"
            url = "https://blog.example/feed"
        "#;
        let definitions = parse_file("watchlist.toml", file).unwrap();
        let watchlist = Watchlist::of(vec![("file:test".to_owned(), definitions)]).unwrap();
        Outlets::of(&watchlist)
    }

    fn mention(source: &str, site: Option<&str>, followers: Option<u64>) -> Mention {
        let source =
            SourceRef { id: source.to_owned(), network: "feed".to_owned(), site: site.map(str::to_owned) };
        let at = earshot_common::time::Timestamp::from_millis(0);
        let author = Some(Author { followers, ..Author::default() });
        Mention { author, ..Mention::new("feed:1".to_owned(), source, "a".to_owned(), at) }
    }

    #[test]
    fn the_author_comes_before_the_outlet_and_what_is_unknown_stays_so() {
        let reach = |source, followers| outlets().reach(&mention(source, None, followers));
        assert_eq!(reach("times", Some(12)), Some((12, ReachUnit::Followers)));
        assert_eq!(reach("times", Some(0)), Some((0, ReachUnit::Followers)));
        assert_eq!(reach("times", None), Some((90_000, ReachUnit::Circulation)));
        assert_eq!(reach("blog", None), None);
        assert_eq!(reach("import", None), None);
    }

    #[test]
    fn an_outlet_is_called_as_its_source_says_else_by_the_host() {
        let name = |source, site| outlets().name(&mention(source, site, None));
        assert_eq!(name("times", Some("harbor-times.example")).as_deref(), Some("The Harbor Times"));
        assert_eq!(name("blog", Some("blog.example")).as_deref(), Some("blog.example"));
        assert_eq!(name("import", None), None);
        let mut by_address = mention("import", None, None);
        by_address.url = Some("https://www.news.example/a".to_owned());
        assert_eq!(outlets().name(&by_address).as_deref(), Some("news.example"));
    }
}
