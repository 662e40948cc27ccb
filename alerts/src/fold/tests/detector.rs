//! The detector on counts decides as the fold does on mentions.

use earshot_common::definitions::Condition;

use super::*;
use crate::fold::Detector;

/// Ten days of hours with a rhythm, two bursts and a quiet hour.
fn hours() -> Vec<u32> {
    let ordinary = |hour: u32| 3 + (hour * 7 + hour / 24) % 5 + u32::from(hour % 24 > 8) * 4;
    let mut hours: Vec<u32> = (0..240).map(ordinary).collect();
    for (hour, count) in [(100, 40), (101, 25), (150, 0), (200, 20), (201, 24)] {
        hours[hour] = count;
    }
    hours
}

#[test]
fn the_fold_and_the_detector_open_in_the_same_hours() {
    let start = at("2026-01-05T00:00");
    let mut timeline = Timeline::new(HARBOR);
    timeline.progress_at(start);
    let Some((_, rule)) = timeline.state.watchlist().rules().next() else { panic!("a rule") };
    let Condition::Count(condition) = rule.condition.clone() else { panic!("a count rule") };
    let mut detector = Detector::new(condition);

    let mut opened = Vec::new();
    for (hour, count) in hours().into_iter().enumerate() {
        let begin = start.plus_millis(hour as i64 * HOUR_MS);
        timeline.push(&begin.to_string(), count, count.max(1));
        timeline.progress_at(begin.plus_millis(HOUR_MS));
        if detector.push(begin, count).opened {
            opened.push(begin);
        }
    }
    let openings = timeline.events.iter().filter(|event| event.transition == Transition::Opened);
    let of_the_fold: Vec<Timestamp> =
        openings.map(|event| Timestamp::from_millis(event.opened.as_millis() / HOUR_MS * HOUR_MS)).collect();
    assert_eq!(of_the_fold, opened);
    assert_eq!(opened.len(), 2, "both bursts and nothing else");
}
