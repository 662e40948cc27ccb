//! What is allowed in a watchlist and probably not meant: alerts that no route can take.
//!
//! What belongs here: what can be known before any alert is there. Which desks mentions are for, and at what hour they
//! come, cannot.

use super::rule::Rule;
use super::telling::TOLD_TO_A_TEAM;
use super::{Condition, Route, Watchlist};

/// One line for each rule and subject whose alerts no route can take, wholly or from some severity on. Those that are
/// less severe than [`TOLD_TO_A_TEAM`] need none.
pub fn doubts(watchlist: &Watchlist) -> Vec<String> {
    let mut doubts = Vec::new();
    for (_, rule) in watchlist.rules().filter(|(_, rule)| rule.most_severe() >= TOLD_TO_A_TEAM) {
        let mut routes = watchlist.routes_of(rule);
        routes.extend(rule.telling.on_duty.iter().filter_map(|shift| watchlist.route(&shift.route)));
        if routes.is_empty() {
            doubts.push(format!(
                "rule `{}`: it names no route, and no route states a match: its alerts are shown, and nobody is told",
                rule.id
            ));
            continue;
        }
        doubts.extend(rule.watched().filter_map(|subject| doubt(rule, &subject, &routes)));
    }
    doubts
}

fn doubt(rule: &Rule, subject: &str, routes: &[&Route]) -> Option<String> {
    let possible = rule.severity..=rule.most_severe();
    let of_concern = possible.clone().filter(|severity| *severity >= TOLD_TO_A_TEAM);
    let untaken: Vec<u8> = of_concern
        .filter(|severity| routes.iter().all(|route| refusal(rule, route, subject, *severity).is_some()))
        .collect();
    let (least, most) = (*untaken.first()?, *untaken.last()?);
    let which = match (least, most) {
        _ if untaken.len() == possible.count() => String::new(),
        (only, last) if only == last => format!(" of severity {only}"),
        (least, most) => format!(" of severity {least} to {most}"),
    };
    let refusals = routes
        .iter()
        .filter_map(|route| Some(format!("route `{}`: {}", route.id, refusal(rule, route, subject, least)?)));
    let refusals: Vec<String> = refusals.collect();
    Some(format!(
        "rule `{}`: no route takes its alerts of `{subject}`{which}: {}",
        rule.id,
        refusals.join("; ")
    ))
}

/// Why a route can take none of these alerts.
fn refusal(rule: &Rule, route: &Route, subject: &str, severity: u8) -> Option<String> {
    let silent = matches!(rule.condition, Condition::Absence(_) | Condition::SourceAbsence(_));
    let for_a_desk = silent && !route.desks.is_empty();
    let desk = for_a_desk.then(|| "a silence has no mentions, and so it is for no desk".to_owned());
    route.refuses(subject, severity).or(desk)
}

#[cfg(test)]
mod tests {
    use super::super::parse_file;
    use super::*;

    /// What is doubtful where a rule about Harbor and these tables are all that there is.
    fn doubts_of(rule: &str, routes: &str) -> Vec<String> {
        let text = format!(
            "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
             [[rule]]\nid = \"r\"\nsubjects = [\"harbor\"]\nwhen = \"each mention\"\n{rule}\n{routes}"
        );
        doubts(&Watchlist::of(vec![("file:f".to_owned(), parse_file("f", &text).unwrap())]).unwrap())
    }

    const EXECUTIVE: &str = "[[route]]\nid = \"executive\"\nlog = true\nseverity_at_least = 7\n";
    const TEAM: &str = "[[route]]\nid = \"team\"\nlog = true\nseverity_at_most = 6\n";

    #[test]
    fn a_rule_whose_alerts_always_find_a_route_is_in_no_doubt() {
        assert_eq!(doubts_of("", &format!("{EXECUTIVE}{TEAM}")), Vec::<String>::new());
        let any = "[[route]]\nid = \"any\"\nlog = true\n";
        assert_eq!(doubts_of("route = \"any\"", any), Vec::<String>::new());
        assert_eq!(
            doubts_of("severity = 1\nseverity_at_most = 3", ""),
            Vec::<String>::new(),
            "it is for the console"
        );
    }

    #[test]
    fn a_rule_that_no_route_can_take_is_named_with_the_reasons() {
        assert_eq!(
            doubts_of("severity = 3\nseverity_at_most = 5", EXECUTIVE),
            [
                "rule `r`: no route takes its alerts of `harbor` of severity 4 to 5: route `executive`: severity 4 is under its 7"
            ]
        );
        assert_eq!(
            doubts_of("", TEAM),
            [
                "rule `r`: no route takes its alerts of `harbor` of severity 7 to 8: route `team`: severity 7 is over its 6"
            ]
        );
        assert_eq!(
            doubts_of("severity_at_most = 5", EXECUTIVE),
            ["rule `r`: no route takes its alerts of `harbor`: route `executive`: severity 5 is under its 7"]
        );
        assert_eq!(
            doubts_of("", "[[route]]\nid = \"any\"\nlog = true\n"),
            [
                "rule `r`: it names no route, and no route states a match: its alerts are shown, and nobody is told"
            ]
        );
    }

    #[test]
    fn a_silence_is_for_no_desk() {
        let hr = "[[route]]\nid = \"hr\"\nlog = true\ndesks = [\"hr\"]\n";
        assert_eq!(
            doubts_of("", hr),
            Vec::<String>::new(),
            "which desks mentions are for is not known before"
        );
        let silence = "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n\
                       [[rule]]\nid = \"r\"\nsubjects = [\"harbor\"]\npreset = \"subject silent\"\n";
        let definitions = parse_file("f", &format!("{silence}{hr}")).unwrap();
        let found = doubts(&Watchlist::of(vec![("file:f".to_owned(), definitions)]).unwrap());
        assert_eq!(
            found,
            [
                "rule `r`: no route takes its alerts of `harbor`: route `hr`: a silence has no mentions, and so it is for no desk"
            ]
        );
    }
}
