//! Erasing and exporting an author over HTTP, and what an older index has to do with it.

use super::*;

fn with_author(mut mention: earshot_common::events::Enriched, id: &str) -> earshot_common::events::Enriched {
    mention.mention.author.as_mut().unwrap().id = id.to_owned();
    mention
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_is_exported_then_erased_and_a_restart_with_an_older_index_keeps_them_out() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let by_ann = |n: i64| {
        let time = format!("2026-01-01T{:02}:{:02}:00Z", n / 60, n % 60);
        upsert(at(version(mention(&format!("hn:{n}"), &format!("secret {n}")), n, 1), &time))
    };
    // More than one page of the export.
    let mut records: Vec<(String, Vec<u8>)> = (0..450).map(|n| (format!("hn:{n}"), by_ann(n))).collect();
    records.push(("bo:1".to_owned(), upsert(with_author(mention("bo:1", "stays"), "hackernews:bo"))));
    bench.index(records.iter().map(|(id, value)| (id.as_str(), value.clone())).collect()).await;
    let older = tempfile::tempdir().unwrap();
    bench.stop().await;
    copy(&folder.path().join("data/index"), older.path());

    let bench = Bench::start(folder.path()).await;
    let (status, body) = bench.get("/api/export?author=hackernews%3Aann").await;
    assert_eq!(status, StatusCode::OK);
    let exported: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<&str> = exported.iter().map(|line| line["id"].as_str().unwrap()).collect();
    let newest_first: Vec<String> = (0..450).rev().map(|n| format!("hn:{n}")).collect();
    assert_eq!(ids, newest_first);
    assert_eq!(
        (&exported[0]["text"], &exported[0]["sentiment"]["label"]),
        (&json!("secret 449"), &json!("neutral"))
    );

    for (author, wrong) in [("ann", "names no network"), ("hackernews:", "names nobody")] {
        let (status, refusal) = bench.post("/api/erasures", json!({"author": author})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(refusal["error"].as_str().unwrap().contains(wrong), "{refusal}");
        assert_eq!(bench.get(&format!("/api/export?author={author}")).await.0, StatusCode::BAD_REQUEST);
    }
    assert!(bench.records(&ERASURES).await.is_empty(), "what was refused is not stored");

    let (status, answer) = bench.post("/api/erasures", json!({"author": "hackernews:ann"})).await;
    assert_eq!((status, &answer["found"]), (StatusCode::OK, &json!(450)));
    let key = answer["author_key"].as_str().unwrap().to_owned();
    let progress =
        bench.until(&format!("/api/erasures/{key}"), |progress| progress["done"] == json!(true)).await;
    assert_eq!(progress["left"], 0);
    assert_eq!(bench.json("/api/search?q=secret").await["total"], 0);
    assert_eq!(bench.json("/api/search").await["total"], 1, "nobody else is touched");
    assert_eq!(bench.get("/api/mentions/hn:7").await.0, StatusCode::NOT_FOUND);
    assert_eq!(bench.get("/api/export?author=hackernews:ann").await, (StatusCode::OK, String::new()));
    let erasure = &bench.records(&ERASURES).await[0];
    assert!(!String::from_utf8_lossy(&erasure.value).contains("ann"), "the topic holds no name");
    assert_eq!(bench.records(&MENTIONS_RAW).await.len(), 450, "each is told to the topics once");
    // Somebody of whom there is nothing is kept out too.
    let (status, answer) = bench.post("/api/erasures", json!({"author": "hackernews:nobody"})).await;
    assert_eq!((status, &answer["found"]), (StatusCode::OK, &json!(0)));
    assert_eq!(bench.get("/api/erasures/00").await.0, StatusCode::NOT_FOUND);
    bench.stop().await;

    // The index of before comes back out of a backup: it serves nothing of the author from its first answer on.
    std::fs::remove_dir_all(folder.path().join("data/index")).unwrap();
    copy(older.path(), &folder.path().join("data/index"));
    let bench = Bench::start(folder.path()).await;
    assert_eq!(bench.json("/api/search").await["total"], 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_an_older_version_goes_when_the_new_one_has_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let versions = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder.join("data/index"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    for name in ["v1", "v99", "notes"] {
        std::fs::create_dir_all(folder.path().join("data/index").join(name)).unwrap();
    }
    let settings = Settings::from_toml("[index]\ncommit_interval_ms = 5", folder.path()).unwrap();
    let context = open(settings).await;
    let (app, indexing) = assemble(context.clone()).await.unwrap();
    let first = indexing.begin().await.unwrap();
    let record = NewRecord::keyed("hn:1", upsert(mention("hn:1", "x")));
    context.broker.append_durably(&MENTIONS_ENRICHED, vec![record]).await.unwrap();
    let removing = tokio::spawn(indexing.clone().remove_outdated());
    let ours = format!("v{}", crate::schema::SCHEMA_VERSION);
    assert_eq!(versions(folder.path()), ["notes", "v1", &ours, "v99"]);
    let work = tokio::spawn(indexing.go_on(first));
    tokio::time::timeout(PATIENCE, removing).await.unwrap().unwrap();
    assert_eq!(app.committed.borrow().documents, 1);
    assert_eq!(versions(folder.path()), ["notes", &ours, "v99"], "a newer one, and what is none, stay");
    context.stop.cancel();
    work.await.unwrap().unwrap();
}
