//! Dead letters over HTTP.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_newest_first_shown_and_driven_again_where_they_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    bench.index(vec![("hn:9", upsert(version(mention("hn:9", "edited since"), 5, 1)))]).await;
    let raw = [("topic", "mentions.raw"), ("partition", "2"), ("offset", "17")];
    let enriched = [("topic", "mentions.enriched"), ("partition", "0"), ("offset", "4")];
    let row = [("service", "ingest"), ("import", "import:past.csv"), ("line", "3")];
    let mine = bench.letter("newer_version", json!({"v": 99, "id": "hn:1", "revision": 1}), &raw).await;
    let judged =
        bench.letter("newer_version", json!({"v": 99, "id": "hn:2", "revision": 1}), &enriched).await;
    let bad_row = bench.letter("bad_row", json!({"id": "3"}), &row).await;
    let older = bench.letter("newer_version", json!({"v": 99, "id": "hn:9", "revision": 4}), &raw).await;
    let author =
        json!({"v": 99, "id": "hn:5", "revision": 1, "author": {"id": "hackernews:ann"}, "text": "secret"});
    let anns = bench.letter("unreadable", author, &raw).await;

    let page = bench.json("/api/dead-letters?limit=2").await;
    let offsets = |page: &Value| {
        page["letters"].as_array().unwrap().iter().map(|l| l["offset"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((offsets(&page), &page["next"], &page["end"]), (vec![anns, older], &json!(older), &json!(5)));
    let page = bench.json(&format!("/api/dead-letters?before={older}&kind=newer_version")).await;
    assert_eq!((offsets(&page), &page["next"]), (vec![judged, mine], &json!(null)));
    assert_eq!(page["letters"][1]["from"], "mentions.raw/2:17");
    assert_eq!(bench.json("/api/dead-letters?service=nobody").await["letters"], json!([]));
    let (status, refusal) = bench.get("/api/dead-letters?kind=odd").await;
    assert!(status == StatusCode::BAD_REQUEST && refusal.contains("newer_version"), "{refusal}");
    assert_eq!(bench.get("/api/dead-letters/77").await.0, StatusCode::NOT_FOUND);
    assert_eq!(bench.get("/api/dead-letters/x").await.0, StatusCode::BAD_REQUEST);
    let shown = bench.json(&format!("/api/dead-letters/{anns}")).await;
    assert!(shown["value"].as_str().unwrap().contains("secret"), "{shown}");

    // From the erasure on nothing of it is told.
    bench.post("/api/erasures", json!({"author": "hackernews:ann"})).await;
    let (_, shown) = bench.get(&format!("/api/dead-letters/{anns}")).await;
    assert!(shown.contains("its author was erased") && !shown.contains("secret"), "{shown}");

    let stretch = json!({"from": 0, "to": 5});
    let (status, answer) = bench.post("/api/dead-letters/redrive", stretch.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["redriven"], json!({"mentions.raw": 1, "mentions.enriched": 1}));
    let refused: Vec<u64> =
        answer["refused"].as_array().unwrap().iter().map(|r| r["offset"].as_u64().unwrap()).collect();
    assert_eq!(refused, [bad_row, older, anns]);
    let raw = bench.records(&MENTIONS_RAW).await;
    let driven: Vec<&Record> = raw.iter().filter(|record| record.header("redriven_from").is_some()).collect();
    assert_eq!((driven.len(), driven[0].key_lossy()), (1, "hn:1".to_owned()));
    assert_eq!(driven[0].value, json!({"v": 99, "id": "hn:1", "revision": 1}).to_string());
    assert_eq!(driven[0].header("redriven_from"), Some(mine.to_string().as_bytes()));

    let (status, answer) = bench.post("/api/dead-letters/redrive", json!({"from": 9, "to": 99})).await;
    assert_eq!((status, &answer["redriven"]), (StatusCode::OK, &json!({})), "nothing is there");

    let (_, answer) = bench.post(&format!("/api/dead-letters/{older}/redrive"), json!({})).await;
    assert_eq!(answer["redriven"], json!({}));
    assert!(answer["refused"][0]["why"].as_str().unwrap().contains("newer version"), "{answer}");
    bench.stop().await;
}
