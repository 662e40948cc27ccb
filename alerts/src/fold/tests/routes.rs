//! Which routes take an alert, and what is said of those that do not. Lines as in [`super::timelines`].

use super::timelines::played_with;
use super::*;

const SUBJECT: &str = "[[subject]]\nid = \"harbor\"\nkind = \"brand\"\nname = \"Harbor\"\n";
/// What the design names as usual: the executive at any hour, the team in its working hours.
const TIERS: &str = r#"
    [[route]]
    id = "executive"
    mail = ["ceo@harbor.example"]
    severity_at_least = 7
    [[route]]
    id = "team"
    mail = ["team@harbor.example"]
    severity_at_least = 4
    severity_at_most = 6
    schedule = { days = ["mon", "tue", "wed", "thu", "fri"], from = "09:00", to = "18:00" }
    zone = "Europe/Berlin"
"#;
const STRONG: &str = "when = \"each mention\"\nreach_at_least = 1000\nquiet_after_hours = 96";

/// A rule about Harbor and these routes, along a time-line.
fn check(routes: &str, rule: &str, timeline: &str) -> Vec<AlertEvent> {
    let rule = format!("[[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\n{rule}\n");
    played_with(&format!("{SUBJECT}{routes}{rule}"), timeline).events.clone()
}

/// The routes that a transition passed over, with the reasons.
fn passed_over(event: &AlertEvent) -> Vec<String> {
    event.passed_over.iter().map(|over| format!("{}: {}", over.route, over.why)).collect()
}

/// A route with an address and what else is said of it.
fn route(id: &str, stated: &str) -> String {
    format!("[[route]]\nid = \"{id}\"\nmail = [\"{id}@harbor.example\"]\n{stated}\n")
}

#[test]
fn a_rule_that_names_no_route_is_told_to_each_whose_match_holds() {
    let events = check(
        TIERS,
        STRONG,
        "09:00 strong a
         09:00 want opened to team",
    );
    assert_eq!(passed_over(&events[0]), ["executive: severity 5 is under its 7"]);
    assert!(!events[0].unrouted);
}

#[test]
fn a_route_without_a_match_is_told_only_where_it_is_named() {
    let routes = format!("{TIERS}{}", route("archive", ""));
    check(
        &routes,
        STRONG,
        "09:00 strong a
         09:00 want opened to team",
    );
    check(
        &routes,
        &format!("{STRONG}\nroutes = [\"archive\", \"executive\"]"),
        "09:00 strong a
         09:00 want opened to archive",
    );
}

/// 8 January 2026 is a Thursday; Berlin is an hour ahead of UTC.
#[test]
fn outside_its_schedule_a_route_waits_for_its_begin() {
    let events = check(
        TIERS,
        STRONG,
        "2+02:10 strong a
         2+02:10 want opened
         4+07:59 progress
         4+07:59 want nothing
         4+08:00 progress
         4+08:00 want told to team
         4+08:01 progress
         4+08:01 want nothing",
    );
    let waits = "team: Saturday 03:10 Europe/Berlin is outside its schedule: it waits until Monday 09:00";
    assert_eq!(passed_over(&events[0]), ["executive: severity 5 is under its 7", waits]);
    assert!(!events[0].unrouted, "it is told on Monday");
}

#[test]
fn an_alert_that_becomes_severe_in_the_night_reaches_the_executive_and_leaves_the_team() {
    let events = check(
        TIERS,
        &format!("{STRONG}\nseverity = 6"),
        "2+02:10 strong a
         2+02:10 want opened
         2+03:00 strong b reaching 100000
         2+03:00 want rising at 7 to executive
         4+08:00 progress
         4+08:00 want nothing",
    );
    assert_eq!(passed_over(&events[1]), ["team: severity 7 is over its 6"]);
}

#[test]
fn who_has_an_alert_in_hand_or_mutes_it_keeps_a_waiting_route_from_being_told() {
    for word in ["acknowledge", "mute"] {
        check(
            TIERS,
            STRONG,
            &format!(
                "2+02:10 strong a
                 2+02:15 ann says {word} until 5+00:00
                 4+08:00 progress
                 4+08:00 want opened, {} by ann",
                if word == "mute" { "muted" } else { "acknowledged" }
            ),
        );
    }
}

#[test]
fn an_alert_that_is_over_before_the_schedule_begins_is_told_to_nobody() {
    check(
        TIERS,
        "when = \"each mention\"\nreach_at_least = 1000\nquiet_after_hours = 6",
        "2+02:10 strong a
         2+09:00 progress
         2+09:00 want opened, resolved
         4+08:00 progress
         4+08:00 want nothing",
    );
}

#[test]
fn quiet_hours_come_first_and_then_the_schedule() {
    check(
        TIERS,
        &format!("{STRONG}\nquiet_hours = {{ from = \"20:00\", to = \"06:00\" }}"),
        "1+02:00 strong a
         1+06:00 progress
         1+06:00 want opened
         1+08:00 progress
         1+08:00 want told to team",
    );
}

/// It is told when both allow: Berlin's nine is eight in UTC.
#[test]
fn a_schedule_that_begins_in_quiet_hours_waits_for_their_end() {
    check(
        TIERS,
        &format!("{STRONG}\nquiet_hours = {{ from = \"22:00\", to = \"08:30\" }}"),
        "20:00 strong a
         1+08:00 progress
         1+08:00 want opened
         1+08:30 progress
         1+08:30 want told to team",
    );
}

#[test]
fn an_alert_is_for_the_desks_of_its_mentions() {
    let routes =
        format!("{}{}", route("hr", "desks = [\"hr\"]"), route("security", "desks = [\"security\"]"));
    let rule =
        "when = \"count of mentions against expectation\"\nauthors_at_least = 10\nprobability_below = 0.001";
    let events = check(
        &routes,
        rule,
        "quiet 3 at 4
         00:00 push 12 by 12 for security
         00:10 push 13 by 13 toned -0.6 for hr
         00:20 want opened to hr to security",
    );
    assert_eq!(events[0].desks, ["hr", "security"]);
    let events = check(
        &routes,
        rule,
        "quiet 3 at 4
         00:00 push 8 by 8 toned -0.6 for hr
         00:10 push 18 by 18
         00:20 want opened to hr",
    );
    assert_eq!(passed_over(&events[0]), ["security: its mentions are for hr, and the route is for security"]);
}

#[test]
fn an_alert_that_no_route_takes_says_so_and_escalates_to_nobody() {
    let routes = route("executive", "severity_at_least = 7") + &route("deputy", "");
    let rule = format!("{STRONG}\nescalate = [{{ after_minutes = 15, route = \"deputy\" }}]");
    let events = check(
        &routes,
        &rule,
        "09:00 strong a
         10:00 progress
         10:00 want opened",
    );
    assert!(events[0].unrouted);
    assert_eq!(passed_over(&events[0]), ["executive: severity 5 is under its 7"]);
    // When it is severe enough, it is told, and the steps count from there.
    check(
        &routes,
        &rule,
        "09:00 strong a
         10:00 strong b
         10:00 strong c
         10:00 strong d
         10:00 strong e reaching 100000
         10:00 want opened, rising, rising, rising at 7 to executive
         10:15 progress
         10:15 want escalated at 7 to deputy",
    );
    let events = check(
        &route("archive", ""),
        STRONG,
        "09:00 strong a
         09:00 want opened",
    );
    assert!(events[0].unrouted && events[0].passed_over.is_empty(), "it names none, and none states a match");
}

/// Whoever was on duty at night would have taken it. Nothing was written, and nobody knew.
#[test]
fn an_alert_that_no_route_takes_when_quiet_hours_are_over_says_so() {
    let routes = route("executive", "severity_at_least = 7") + &route("night", "");
    let night = "from = \"22:00\", to = \"07:00\"";
    let events = check(
        &routes,
        &format!(
            "{STRONG}\nroute = \"executive\"\nquiet_hours = {{ {night} }}\n\
             on_duty = [{{ route = \"night\", {night} }}]"
        ),
        "23:00 strong a
         1+07:00 progress
         1+07:00 want opened, told
         1+07:01 progress
         1+07:01 want nothing",
    );
    assert!(!events[0].unrouted && events[1].unrouted);
    assert_eq!(passed_over(&events[1]), ["executive: severity 5 is under its 7"]);
}

#[test]
fn a_step_of_the_escalation_asks_its_route_too() {
    let routes = route("team", "") + &route("board", "severity_at_least = 9") + &route("deputy", "");
    let rule = format!(
        "{STRONG}\nroute = \"team\"\nescalate = [{{ after_minutes = 15, route = \"board\" }}, \
         {{ after_minutes = 30, route = \"deputy\" }}]"
    );
    let events = check(
        &routes,
        &rule,
        "09:00 strong a
         09:15 progress
         09:15 want opened to team, escalated
         09:30 progress
         09:30 want escalated to deputy",
    );
    assert_eq!(passed_over(&events[1]), ["board: severity 5 is under its 9"]);
}

#[test]
fn who_is_on_two_routes_is_told_once_and_each_fallback_stands_in() {
    let routes = "[[route]]\nid = \"a\"\nmail = [\"x@harbor.example\"]\nfallback = \"night\"\n\
                  [[route]]\nid = \"b\"\nmail = [\"x@harbor.example\", \"y@harbor.example\"]\nfallback = \"day\"\n\
                  [[route]]\nid = \"night\"\nlog = true\n[[route]]\nid = \"day\"\nslack = [\"desk\"]\n";
    let events = check(
        routes,
        &format!("{STRONG}\nroutes = [\"a\", \"b\"]"),
        "09:00 strong a
         09:00 want opened to a to b",
    );
    let instead = |n: usize| {
        events[0].notify[n].fallback.iter().map(|notify| notify.route.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((instead(0), instead(1)), (vec!["night", "day"], vec!["day"]));
}

#[test]
fn a_second_alert_of_the_situation_is_told_where_the_first_was_not() {
    let legal = "when = \"count of mentions against expectation\"\nauthors_at_least = 10\nprobability_below = 0.001\n\
                 route = \"team\"\n[[rule]]\nid = \"second\"\nsubjects = [\"harbor\"]\nroutes = [\"team\", \"legal\"]\n";
    let events = check(
        &(route("team", "") + &route("legal", "")),
        &format!("{legal}{STRONG}"),
        "quiet 3 at 4
         00:00 push 25 by 25
         00:20 want opened to team
         00:30 strong a
         00:30 want opened to legal",
    );
    let spoken_for =
        "team: another alert of the same situation, as severe, is told there and speaks for this one";
    assert_eq!(
        (passed_over(&events[1]), events[1].parent),
        (vec![spoken_for.to_owned()], Some(events[0].alert))
    );
}

/// Both were due at once, and each told the route.
#[test]
fn a_mute_that_ends_with_the_quiet_hours_is_told_once() {
    check(
        &route("team", ""),
        &format!("{STRONG}\nroute = \"team\"\nquiet_hours = {{ from = \"22:00\", to = \"07:00\" }}"),
        "23:00 strong a
         23:05 ann says mute until 1+07:00
         23:05 want opened, muted by ann
         1+07:00 progress
         1+07:00 want unmuted to team",
    );
}

/// Nobody was told of the second one: the route had heard of the first, which nobody was to hear of any more.
#[test]
fn an_alert_that_is_muted_does_not_speak_for_another_of_its_situation() {
    for mute in ["mute", "mute-rule"] {
        check(
            &route("team", ""),
            &a_passing_one_beside_a_strong_one(),
            &format!(
                "09:00 push 1 by 1 passing
                 09:00 want opened to team
                 09:01 ann says {mute} until 2+00:00
                 09:30 strong b
                 09:30 want muted by ann, opened to team"
            ),
        );
    }
}

/// Two rules about Harbor: each mention that passes the filter, until six hours after; and each strong one.
fn a_passing_one_beside_a_strong_one() -> String {
    format!(
        "when = \"each mention\"\nreach_at_least = 0\nquiet_after_hours = 6\nroute = \"team\"\nfilter = \"lang:de\"\n\
         sentiment_at_most = 1.0\nreopen_within_hours = 0\n\
         [[rule]]\nid = \"second\"\nsubjects = [\"harbor\"]\n{STRONG}\nroute = \"team\""
    )
}

/// It was silent because of the first one's rule, which tells nobody either.
#[test]
fn a_rule_that_is_muted_does_not_silence_another_rule_of_the_situation() {
    check(
        &route("team", ""),
        &a_passing_one_beside_a_strong_one(),
        "09:00 push 1 by 1 passing
         09:00 want opened to team
         09:01 ann says mute-rule until 2+00:00
         09:01 want muted by ann
         16:00 progress
         16:00 want resolved
         20:00 push 1 by 1 passing
         20:00 want opened
         20:10 strong b
         20:10 want opened to team",
    );
}

/// The escalation ended with the first alert, and the second one had none.
#[test]
fn who_is_next_is_called_for_the_rest_of_a_situation_where_nobody_had_its_first_alert_in_hand() {
    let escalate =
        "escalate = [{ after_minutes = 5, route = \"deputy\" }, { after_minutes = 420, route = \"night\" }]";
    for (word, said, at_four) in
        [("note", "noted", "escalated to night"), ("acknowledge", "acknowledged", "nothing")]
    {
        check(
            &(route("team", "") + &route("deputy", "") + &route("night", "")),
            &format!("{escalate}\n{}\n{escalate}", a_passing_one_beside_a_strong_one()),
            &format!(
                "09:00 push 1 by 1 passing
                 09:05 progress
                 09:05 want opened to team, escalated to deputy
                 09:06 ann says {word}
                 09:10 strong b
                 15:00 progress
                 15:00 want {said} by ann, opened, resolved
                 15:59 progress
                 15:59 want nothing
                 16:00 progress
                 16:00 want {at_four}",
            ),
        );
    }
}

/// Who spoke for it was another child, and only the children of what was over were looked at.
#[test]
fn what_a_child_held_back_for_another_is_told_when_it_is_over() {
    let rule = |id: &str, severity: u8, rest: &str| {
        format!(
            "[[rule]]\nid = \"{id}\"\nsubjects = [\"harbor\"]\nwhen = \"each mention\"\nroute = \"team\"\n\
             severity = {severity}\nquiet_hours = {{ from = \"22:00\", to = \"07:00\" }}\n{rest}\n"
        )
    };
    let passing = "filter = \"lang:de\"\nsentiment_at_most = 1.0\nreach_at_least = 0\nquiet_after_hours = 96";
    for (first, second, morning) in [(3, 5, "told to team, told to team"), (5, 6, "told to team")] {
        let rules = rule("rule", first, passing)
            + &rule("second", second, "reach_at_least = 1000\nquiet_after_hours = 3")
            + &rule("third", 5, "reach_at_least = 50000\nquiet_after_hours = 96");
        played_with(
            &format!("{SUBJECT}{}{rules}", route("team", "")),
            &format!(
                "23:00 push 1 by 1 passing
                 23:10 strong a
                 23:20 strong b reaching 60000
                 1+02:20 progress
                 1+02:20 want opened, opened, rising, opened, resolved
                 1+07:00 progress
                 1+07:00 want {morning}"
            ),
        );
    }
}

#[test]
fn a_route_that_is_not_in_force_yet_is_named() {
    let text = format!(
        "{SUBJECT}{}[[rule]]\nid = \"rule\"\nsubjects = [\"harbor\"]\n{STRONG}\nroute = \"team\"\n",
        route("team", "")
    );
    let mut timeline = Timeline::new(SUBJECT);
    timeline.append(at("2026-01-08T08:00"), SignalRecord::Definition(version_of(&text, "rule/rule")));
    timeline.post("2026-01-08T09:00", &Post::new("a").about("harbor", -0.9).reach(5_000));
    assert_eq!(passed_over(&timeline.events[0]), ["team: it is not in force"]);
    assert!(timeline.events[0].unrouted);
}
